"""R16: told to stop while a hundred clients read, the agent ends every read with its event."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from mesh.evidence.checkpoints import open_checkpoint
from tests.e2e.town import wait_until
from tests.faults.ledger import Ledger
from tests.faults.reading import Reader
from tests.faults.stage import Sizes, Stage, staged
from tests.faults.tally import SCALE, Scale, Trial

FAULT = "SIGTERM while a hundred clients read"
CLIENTS, STATEMENTS = SCALE.of(100, 24), SCALE.of(8, 4)
SIZES = Sizes(segment=40_000, batch=16_384)


def test_told_to_stop_amid_a_hundred_readers_it_ends_every_read(
    tmp_path: Path, scale: Scale, trial: Callable[[str, str], Trial]
) -> None:
    row, ledger = trial("R16", FAULT), Ledger()
    with staged(tmp_path, workers=STATEMENTS, streams=160) as stage:
        for number in range(scale.of(20, 1)):
            _stop_once(stage, ledger, row, number)
        stage.launch(SIZES)
        assert stage.serving()
        wait_until(lambda: _stored(stage, ledger), "what was left is sent at the next start", 60.0)
        assert stage.agent is not None
        stage.agent.process.terminate()
        assert stage.gone(60.0) == 0
        ledger.disk(stage.state, stage.public_key)
        note = (stage.state / "checkpoint").read_text()
        ledger.settle(open_checkpoint(note, stage.public_key))
    row.count("streams noted by clients", len(ledger.clients))
    row.count("reads without a terminal event", 0)


def _stop_once(stage: Stage, ledger: Ledger, row: Trial, number: int) -> None:
    began = time.monotonic()
    stage.launch(SIZES)
    uri = stage.serving()
    assert uri is not None
    readers = [
        Reader(
            uri,
            stage.token(f"reader-{client % 50}"),
            random.Random(f"{number} {client}"),  # noqa: S311 - a seeded series
            began,
            expected=frozenset({"control.unavailable"}),
            endless=client % 2 == 0,
        )
        for client in range(CLIENTS)
    ]
    for reader in readers:
        reader.start()
    wait_until(
        lambda: sum(reader.streaming for reader in readers) >= STATEMENTS - 1,
        "all places are streaming",
        60.0,
    )
    streaming = sum(reader.streaming for reader in readers)
    assert stage.agent is not None
    told = time.monotonic()
    stage.agent.process.send_signal(signal.SIGTERM)
    code = stage.gone(60.0)
    row.took("from SIGTERM to the end", time.monotonic() - told)
    for reader in readers:
        reader.stop()
        assert not reader.errors, reader.errors[:3]
        ledger.clients += reader.seen
    assert code == 0
    row.tried += 1
    row.count("streams cut short by it", streaming)
    ledger.disk(stage.state, stage.public_key)
    assert not ledger.open, "reads were left open for the next start to end"


def _stored(stage: Stage, ledger: Ledger) -> bool:
    last = ledger.disk(stage.state, stage.public_key)
    return ledger.plane(stage.stored(ledger.stored)) == last
