"""What an operator decides about a control plane."""

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as PydanticField

from mesh.contracts.values import Classification
from mesh.evidence.cloudevents import CHANGES_TOPIC, USAGE_TOPIC
from mesh.kafka.settings import KafkaSettings
from mesh.leases import DEFAULT_LEASES, Leases

DEFAULT_LISTEN = "127.0.0.1:7400"
OPA_LISTEN = "127.0.0.1:7480"
SHORTEST_LEASE, LONGEST_LEASE = timedelta(seconds=1), timedelta(days=30)
_KEYS = frozenset(
    {"listen", "state", "leases", "tls", "database", "keys", "kafka", "opa", "policies"}
)
_TLS_KEYS = frozenset({"certificate", "key"})


class SettingsInvalid(Exception):
    """The settings can't be used; the message says which and what is allowed."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Where the certificate chain and its key are, in PEM."""

    certificate: Path
    key: Path


class TopicSettings(KafkaSettings):
    """The topics of usage events and of changes, and the group whose members share the reading."""

    usage_topic: str = USAGE_TOPIC
    changes_topic: str = CHANGES_TOPIC
    group: str = "meshwarden"


class PolicySettings(BaseModel):
    """What a policy must have passed before it goes into force, and what checks it.

    `opa` is a program. Without one, what only OPA checks is not run, and `unchecked` tells whether
    that keeps a policy out of force. `rehearsal` tells the same of what agents recorded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    opa: Path | None = None
    coverage: Annotated[int, PydanticField(ge=0, le=100)] = 90
    unchecked: Literal["refused", "allowed"] = "refused"
    rehearsal: Literal["required", "optional"] = "required"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; `leases` are how long agents may act without hearing from us.

    `database` is a PostgreSQL URL, None for a file in the state folder; `keys` is the folder of
    the keys that all replicas share, None for the state folder; `kafka` is None where agents
    send their events here themselves; `opa_listen` is None where no OPA is served.
    """

    state: Path
    listen: str = DEFAULT_LISTEN
    leases: Leases = DEFAULT_LEASES
    tls: Tls | None = None
    database: str | None = field(default=None, repr=False)
    keys: Path | None = None
    kafka: TopicSettings | None = None
    policies: PolicySettings = field(default_factory=PolicySettings)
    opa_listen: str | None = None

    def __post_init__(self) -> None:
        _check_listen("listen", self.listen, DEFAULT_LISTEN, self.tls)
        if self.opa_listen is not None:
            _check_listen("opa.listen", self.opa_listen, OPA_LISTEN, self.tls)
        _check_leases(self.leases)


def read_settings(
    config: Path | None,
    listen: str | None = None,
    state: Path | None = None,
    database: str | None = None,
    keys: Path | None = None,
) -> Settings:
    """The settings of a file, overridden by the options; the file's paths start at its folder.

    Raises SettingsInvalid.
    """
    document = _document(config) if config is not None else {}
    folder = config.absolute().parent if config is not None else Path()
    state = state or _folder(document, "state", folder)
    if state is None:
        raise SettingsInvalid("no state folder: give --state DIR, or `state: DIR` in the file")
    chosen_listen = listen or document.get("listen", DEFAULT_LISTEN)
    if not isinstance(chosen_listen, str):
        raise SettingsInvalid(f"listen is HOST:PORT, such as {DEFAULT_LISTEN}")
    return Settings(
        state=state,
        listen=chosen_listen,
        leases=_leases(document.get("leases", {})),
        tls=_tls(document.get("tls"), folder),
        database=database or _database(document.get("database")),
        keys=keys or _folder(document, "keys", folder),
        kafka=_kafka(document.get("kafka"), folder),
        policies=_policies(document.get("policies"), folder),
        opa_listen=_opa(document.get("opa")),
    )


def _document(config: Path) -> dict[str, object]:
    try:
        document = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{config} can't be read: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or not set(document) <= _KEYS:
        raise SettingsInvalid(f"{config} may have the keys {', '.join(sorted(_KEYS))} only")
    return document


def _folder(document: dict[str, object], key: str, start: Path) -> Path | None:
    stated = document.get(key)
    if stated is None:
        return None
    if not isinstance(stated, str) or not stated:
        raise SettingsInvalid(f"{key} is the path of a folder")
    return start / Path(stated).expanduser()


def _database(stated: object) -> str | None:
    if stated is not None and not isinstance(stated, str):
        raise SettingsInvalid("database is a text that starts with postgresql://")
    return stated


def _tls(section: object, folder: Path) -> Tls | None:
    if section is None:
        return None
    if not isinstance(section, dict) or set(section) != _TLS_KEYS:
        raise SettingsInvalid("tls has exactly the keys certificate and key, each a file")
    return Tls(folder / str(section["certificate"]), folder / str(section["key"]))


def _leases(section: object) -> Leases:
    """The lengths that are stated, and the defaults of the others."""
    words = ", ".join(Classification)
    if not isinstance(section, dict) or not set(section) <= set(Classification):
        raise SettingsInvalid(f"leases has the keys {words} only, each a number of seconds")
    lengths = dict(DEFAULT_LEASES.lengths)
    for word, seconds in section.items():
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise SettingsInvalid(f"leases.{word} is a number of seconds, such as 300")
        try:
            lengths[Classification(word)] = timedelta(seconds=seconds)
        except (OverflowError, ValueError):
            raise SettingsInvalid(f"leases.{word}: {seconds} seconds is no length") from None
    return Leases(lengths)


def _check_leases(leases: Leases) -> None:
    milder: Classification | None = None
    for one in Classification:
        length = leases.lengths.get(one, timedelta())
        if not SHORTEST_LEASE <= length <= LONGEST_LEASE:
            raise SettingsInvalid(f"leases.{one} is between 1 second and 30 days")
        if milder is not None and length > leases.lengths[milder]:
            raise SettingsInvalid(
                f"leases.{one} is longer than leases.{milder}: what is stricter is not served"
                " longer than what is milder"
            )
        milder = one


def _opa(section: object) -> str | None:
    if section is None:
        return None
    if not isinstance(section, dict) or set(section) != {"listen"}:
        raise SettingsInvalid(f"opa has exactly the key listen, such as {OPA_LISTEN}")
    return str(section["listen"])


def _check_listen(key: str, listen: str, example: str, tls: Tls | None) -> None:
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise SettingsInvalid(f"{key} is HOST:PORT, such as {example}: {listen!r}")
    if tls is None and not _is_loopback(host):
        raise SettingsInvalid(
            f"{listen} can be reached from other machines, so it needs TLS: set"
            " tls.certificate and tls.key, or listen on 127.0.0.1"
        )


def _kafka(section: object, folder: Path) -> TopicSettings | None:
    if section is None:
        return None
    try:
        return TopicSettings.model_validate(section).below(folder)
    except ValidationError as error:
        raise SettingsInvalid(_problems("kafka", error)) from None


def _policies(section: object, folder: Path) -> PolicySettings:
    try:
        found = PolicySettings.model_validate({} if section is None else section)
    except ValidationError as error:
        raise SettingsInvalid(_problems("policies", error)) from None
    return found.model_copy(update={"opa": found.opa and folder / found.opa})


def _problems(section: str, error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join((section, *map(str, one['loc'])))}: {one['msg']}" for one in error.errors()
    )


def _is_loopback(host: str) -> bool:
    name = host.removeprefix("[").removesuffix("]")
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
