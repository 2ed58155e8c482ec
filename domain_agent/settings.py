"""What an agent is told at start: one frozen value, read from agent.yaml and checked whole."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from mesh.errors import RequestInvalid
from mesh.evidence.cloudevents import USAGE_TOPIC
from mesh.kafka.settings import KafkaSettings
from mesh.names import HYPHENATED_RULE, NAME_RULE, is_hyphenated, is_name
from mesh.wire.targets import channel_target


def _domain(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"a domain is {NAME_RULE}")
    return text


def _agent(text: str) -> str:
    if not is_hyphenated(text):
        raise ValueError(f"an agent's id is {HYPHENATED_RULE}")
    return text


def _control_plane(text: str) -> str:
    channel_target(text)
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkerSettings(_Strict):
    """The processes that run DuckDB."""

    processes: Annotated[int, Field(ge=1, le=16)] = 4
    memory_mib: Annotated[int, Field(ge=64)] = 1024
    threads: Annotated[int, Field(ge=1)] = 2
    statement_seconds: Annotated[float, Field(gt=0)] = 300.0
    sandbox: Literal["landlock", "none"] = "landlock"


class EngineSettings(_Strict):
    """Which engine decides: the embedded one, or an OPA server at `url`."""

    kind: Literal["regopy", "opa"] = "regopy"
    url: str | None = None
    deadline_ms: Annotated[int, Field(ge=1, le=10_000)] = 50

    @model_validator(mode="after")
    def _url_belongs_to_opa(self) -> "EngineSettings":
        if (self.kind == "opa") != (self.url is not None):
            raise ValueError("`url` is the OPA server's address: give it with kind opa, only then")
        return self


class TlsSettings(_Strict):
    """PEM files: the agent's own certificate and key, and whom to trust as control plane."""

    certificate: Path | None = None
    key: Path | None = None
    control_plane_ca: Path | None = None


class UsageSettings(KafkaSettings):
    """Where usage events go when it is not to the control plane itself."""

    topic: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")] = USAGE_TOPIC


class AgentSettings(_Strict):
    """One agent of one domain."""

    domain: Annotated[str, AfterValidator(_domain)]
    id: Annotated[str, AfterValidator(_agent)]
    control_plane: Annotated[str, AfterValidator(_control_plane)]
    state: Path
    products: Path
    roots: Annotated[tuple[Path, ...], Field(min_length=1)]
    listen: str = "127.0.0.1:0"
    advertise: str | None = None
    join_token_file: Path | None = None
    evidence_quota_mib: Annotated[int, Field(ge=1)] = 1024
    streams: Annotated[int, Field(ge=9, le=512)] = 40
    worker: WorkerSettings = WorkerSettings()
    engine: EngineSettings = EngineSettings()
    tls: TlsSettings = TlsSettings()

    @model_validator(mode="after")
    def _one_name_with_tls(self) -> "AgentSettings":
        if "," in self.control_plane and self.tls.control_plane_ca is not None:
            raise ValueError(
                "with TLS, `control_plane` is one name that has the addresses of all replicas"
            )
        return self

    kafka: UsageSettings | None = None


def read_settings(path: Path) -> AgentSettings:
    """The settings of a file; relative paths are relative to its folder. Raises RequestInvalid."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestInvalid(f"{path} can't be read as YAML: {error}", field=str(path)) from None
    try:
        settings = AgentSettings.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the document'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise RequestInvalid(f"{path}: {problems}", field=str(path)) from None
    return _absolute(settings, path.parent.resolve())


def _absolute(settings: AgentSettings, folder: Path) -> AgentSettings:
    tls = settings.tls
    return settings.model_copy(
        update={
            "state": folder / settings.state,
            "products": folder / settings.products,
            "roots": tuple(folder / root for root in settings.roots),
            "join_token_file": settings.join_token_file and folder / settings.join_token_file,
            "tls": TlsSettings(
                certificate=tls.certificate and folder / tls.certificate,
                key=tls.key and folder / tls.key,
                control_plane_ca=tls.control_plane_ca and folder / tls.control_plane_ca,
            ),
            "kafka": settings.kafka and settings.kafka.below(folder),
        }
    )
