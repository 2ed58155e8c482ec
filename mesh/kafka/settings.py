"""How agents and control plane reach Kafka: settings by the names that its clients use."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"]


def _broker(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not host or not separator or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError("a broker is HOST:PORT, such as kafka-1.example:9093")
    return text


class KafkaSettings(BaseModel):
    """Whom to ask first, and how to prove who we are; secrets stay in files of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    brokers: Annotated[tuple[Annotated[str, AfterValidator(_broker)], ...], Field(min_length=1)]
    security_protocol: Protocol = "PLAINTEXT"
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_password_file: Path | None = None
    sasl_mechanism: Mechanism | None = None
    sasl_plain_username: str | None = None
    sasl_plain_password_file: Path | None = None
    sasl_kerberos_service_name: str | None = None
    sasl_kerberos_domain_name: str | None = None

    @model_validator(mode="after")
    def _options_fit_the_protocol(self) -> Self:
        protocol = self.security_protocol
        for prefix in ("ssl", "sasl"):
            given = [name for name in self.model_fields_set if name.startswith(f"{prefix}_")]
            if given and prefix.upper() not in protocol.split("_"):
                raise ValueError(f"{min(given)} does nothing with security_protocol {protocol}")
        if protocol.startswith("SASL") and self.sasl_mechanism is None:
            raise ValueError(f"security_protocol {protocol} needs sasl_mechanism")
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("ssl_certfile and ssl_keyfile belong together")
        by_name = self.sasl_plain_username is not None and self.sasl_plain_password_file is not None
        if self.sasl_mechanism not in (None, "GSSAPI") and not by_name:
            raise ValueError(
                f"sasl_mechanism {self.sasl_mechanism} needs sasl_plain_username and"
                " sasl_plain_password_file"
            )
        return self

    def below(self, folder: Path) -> Self:
        """The same, with relative paths starting at a folder."""
        paths = {name: getattr(self, name) for name in self.model_fields_set}
        return self.model_copy(
            update={name: folder / path for name, path in paths.items() if isinstance(path, Path)}
        )

    def client_options(self) -> dict[str, object]:
        """Arguments of a kafka-python client. Raises OSError when a secret can't be read."""
        options: dict[str, object] = {"bootstrap_servers": list(self.brokers)}
        security = (
            n for n in self.model_fields_set if n.startswith(("security_", "ssl_", "sasl_"))
        )
        for name in sorted(security):
            value = getattr(self, name)
            if name.endswith("_password_file"):
                options[name.removesuffix("_file")] = value.read_text(encoding="utf-8").strip()
            elif value is not None:
                options[name] = str(value)
        return options
