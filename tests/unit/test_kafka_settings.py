"""How Kafka is reached: options by their names, secrets from files, nothing that does nothing."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from domain_agent.settings import read_settings
from mesh.errors import RequestInvalid
from mesh.kafka.settings import KafkaSettings

SASL = {
    "security_protocol": "SASL_SSL",
    "ssl_cafile": "ca.pem",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_plain_username": "bookings-1",
    "sasl_plain_password_file": "password",
}


def settings(**options: object) -> KafkaSettings:
    return KafkaSettings.model_validate({"brokers": ["kafka-1:9093", "kafka-2:9093"], **options})


def test_options_reach_the_client_by_their_names_and_secrets_come_from_files(
    tmp_path: Path,
) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    assert settings(**SASL).below(tmp_path).client_options() == {
        "bootstrap_servers": ["kafka-1:9093", "kafka-2:9093"],
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(tmp_path / "ca.pem"),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "bookings-1",
        "sasl_plain_password": "s3cret",
    }


def test_in_the_clear_the_brokers_are_enough() -> None:
    assert settings().client_options() == {"bootstrap_servers": ["kafka-1:9093", "kafka-2:9093"]}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"brokers": []}, "at least 1 item"),
        ({"brokers": ["kafka-1"]}, "HOST:PORT"),
        ({"brokers": ["kafka-1:70000"]}, "HOST:PORT"),
        ({"acks": 1}, "acks"),
        ({"sasl_plain_password": "s3cret"}, "sasl_plain_password"),
        ({"security_protocol": "TLS"}, "'SASL_SSL'"),
        ({"ssl_cafile": "ca.pem"}, "ssl_cafile does nothing"),
        ({"security_protocol": "SSL", "sasl_mechanism": "PLAIN"}, "sasl_mechanism does nothing"),
        ({"security_protocol": "SASL_SSL"}, "needs sasl_mechanism"),
        ({**SASL, "ssl_certfile": "agent.pem"}, "ssl_keyfile belong together"),
        ({**SASL, "sasl_plain_username": None}, "needs sasl_plain_username"),
    ],
)
def test_settings_that_can_not_work_are_refused_with_the_option(
    options: dict[str, object], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        settings(**options)


def test_an_agent_is_told_where_its_kafka_settings_are_wrong(tmp_path: Path) -> None:
    document = {
        "domain": "bookings",
        "id": "bookings-1",
        "control_plane": "127.0.0.1:1",
        "state": "state",
        "products": "products",
        "roots": ["data"],
        "kafka": {"brokers": ["kafka-1:9093"], "topic": "usage", **SASL},
    }
    config = tmp_path / "agent.yaml"
    config.write_text(yaml.safe_dump(document))
    kafka = read_settings(config).kafka
    assert kafka is not None
    assert (kafka.topic, kafka.ssl_cafile) == ("usage", tmp_path / "ca.pem")

    document["kafka"] = {"brokers": ["kafka-1:9093"], "retries": 3}
    config.write_text(yaml.safe_dump(document))
    with pytest.raises(RequestInvalid, match=r"kafka\.retries"):
        read_settings(config)
