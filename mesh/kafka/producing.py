"""Producers that lose and reorder nothing, and that end when they are told to."""

import contextlib
import logging

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from mesh.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

END_SECONDS = 2.0
_OPTIONS: dict[str, object] = {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "lz4",
    "batch_size": 512 * 1024,
    "linger_ms": 5,
    "bootstrap_timeout_ms": 8_000,
    "max_block_ms": 5_000,
    "request_timeout_ms": 10_000,
    "reconnect_backoff_max_ms": 2_000,
    # A batch that is given up would let later ones overtake it; its owner ends the producer.
    "delivery_timeout_ms": 10 * 365 * 24 * 3600 * 1000,
    "metrics_enabled": False,
}


def open_producer(settings: KafkaSettings, client_id: str) -> KafkaProducer:
    """A connected producer. Raises KafkaError when no broker answers, OSError without a secret."""
    clients: list[KafkaNetClient] = []

    def remembered(**configs: object) -> KafkaNetClient:
        clients.append(KafkaNetClient(**configs))
        return clients[-1]

    try:
        return KafkaProducer(
            **_OPTIONS,
            **settings.client_options(),
            client_id=client_id,
            kafka_client=remembered,
        )
    except BaseException:
        # A producer that finds no broker leaves its sockets to whoever finds them.
        for client in clients:
            client.close()
        raise


def stop_sending(producer: KafkaProducer) -> None:
    """Let nothing more go out; for the producer's own thread too.

    Its `close` first waits in vain for what can't be delivered, and then raises and goes on.
    """
    producer._sender.force_close()


def end_producer(producer: KafkaProducer) -> None:
    """End it at once; what it did not deliver fails."""
    stop_sending(producer)
    producer._sender.join(END_SECONDS)
    with contextlib.suppress(KafkaError):
        producer.close(END_SECONDS)
    if producer._sender.is_alive():
        log.error("a Kafka producer does not end; it sends nothing any more")
