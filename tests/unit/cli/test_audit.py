"""`mesh audit`: the auditor's filters, counts, pictures and tails."""

import csv
import io
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.image import imread

from cli.bars import bar
from cli.plots import MOST_SERIES
from mesh import errors
from mesh.v1 import audit_pb2
from mesh.wire.times import from_timestamp, to_timestamp
from tests.unit.cli import samples
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import NOW, Clock, Run

USAGE = errors.USAGE_EXIT_CODE


def group(*values: str, reads: int = 1, refused: int = 0, rows: int = 0) -> audit_pb2.ReadGroup:
    return audit_pb2.ReadGroup(
        values=values,
        reads=reads,
        refused=refused,
        rows=rows,
        bytes=rows * 10,
        first_time=to_timestamp(NOW - timedelta(hours=3)),
        last_time=to_timestamp(NOW - timedelta(minutes=3)),
    )


def summarized(
    control: ControlPlane, *groups: audit_pb2.ReadGroup, truncated: bool = False
) -> None:
    control.answers["SummarizeReads"] = audit_pb2.SummarizeReadsResponse(
        groups=groups, truncated=truncated
    )


PRODUCTS = (
    group("bookings.reservations", "restricted", reads=1_412, refused=3, rows=120_345),
    group("bookings.reservations", "public", reads=706, rows=9),
    group("operations.flights", "", reads=1),
)


class Texts(HTMLParser):
    """What a page says, without its markup."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_data(self, data: str) -> None:
        self.found.add(data.strip())


def arriving(*entries: audit_pb2.Entry) -> list[audit_pb2.TailEntriesResponse]:
    return [audit_pb2.TailEntriesResponse(entry=entry) for entry in entries]


def test_list_sends_its_filters_and_stops_at_the_limit(control: ControlPlane, run: Run) -> None:
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse(
        entries=[samples.entry(number=n) for n in (1, 2, 3)]
    )
    done = run(
        "audit", "list", "--kind", "read", "--who", "user:ana", "--product",
        "bookings.reservations", "--class", "restricted", "--purpose", "crew-planning",
        "--outcome", "completed", "--since", "24h", "--until", "2026-11-24", "--limit", "2",
        "-o", "json",
    )  # fmt: skip
    asked = control.last("ListEntries")
    assert (asked.kind, asked.actor, asked.product) == ("read", "user:ana", "bookings.reservations")
    assert (asked.classification, asked.purpose) == ("restricted", "crew-planning")
    assert asked.outcome == "completed"
    assert from_timestamp(asked.since, "since") == NOW - timedelta(hours=24)
    assert from_timestamp(asked.until, "until") == datetime(2026, 11, 25, tzinfo=UTC)
    assert len(json.loads(done.out)) == 2
    assert "more than 2" in done.err


def test_list_without_filters_asks_for_everything(control: ControlPlane, run: Run) -> None:
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse()
    assert run("audit", "list").code == 0
    assert control.last("ListEntries") == audit_pb2.ListEntriesRequest(page_size=100)


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--who", "ana"),
        ("list", "--class", "secret"),
        ("list", "--outcome", "fine"),
        ("list", "--since", "1h", "--until", "2h"),
        ("list", "--since", "yesterday"),
        ("reads",),
        ("stats", "--by", "colour"),
        ("stats", "--by", "who", "--by", "hour", "--by", "class", "--by", "purpose"),
        ("stats", "--plot", "reads.gif"),
        ("stats", "--plot", "nowhere/reads.png"),
    ],
    ids=" ".join,
)
def test_what_means_nothing_is_refused_before_the_server_is_asked(
    words: Sequence[str], control: ControlPlane, run: Run
) -> None:
    assert run("audit", *words).code == USAGE
    assert control.asked == []


def test_stats_send_what_they_count_and_by_what(control: ControlPlane, run: Run) -> None:
    summarized(control, *PRODUCTS, truncated=True)
    done = run(
        "audit", "stats", "--by", "product", "--by", "class", "--who", "service:loader",
        "--class", "public", "--outcome", "refused", "--since", "2026-11-01", "--until", "1h",
    )  # fmt: skip
    asked = control.last("SummarizeReads")
    assert list(asked.dimensions) == [
        audit_pb2.DIMENSION_PRODUCT,
        audit_pb2.DIMENSION_CLASSIFICATION,
    ]
    assert asked.selection == audit_pb2.ReadSelection(
        actor="service:loader",
        classification="public",
        outcome="refused",
        since=to_timestamp(datetime(2026, 11, 1, tzinfo=UTC)),
        until=to_timestamp(NOW - timedelta(hours=1)),
    )
    assert asked.limit == 100
    assert "more than 3 groups" in done.err
    assert "of the class public" in done.err
    assert "since 2026-11-01T00:00:00Z until 2026-11-24T21:00:00Z" in done.err


def test_stats_are_of_the_last_seven_days_by_product_unless_said(
    control: ControlPlane, run: Run
) -> None:
    summarized(control)
    done = run("audit", "stats")
    asked = control.last("SummarizeReads")
    assert list(asked.dimensions) == [audit_pb2.DIMENSION_PRODUCT]
    assert from_timestamp(asked.selection.since, "since") == NOW - timedelta(days=7)
    assert done.out == ""
    assert done.err.startswith("No reads.\n")


def test_a_terminal_shows_bars_that_fit_it(control: ControlPlane, run: Run) -> None:
    summarized(control, *PRODUCTS)
    done = run("audit", "stats", "--by", "product", "--by", "class", size=(80, 24))
    first, most, half, least = done.out.splitlines()
    assert first.startswith("\x1b[1mPRODUCT")
    assert all(len(line) <= 80 for line in (most, half, least))
    assert most.count("█") == 2 * half.count("█") > 0
    assert least.endswith("▏")
    assert "120,345" in most
    assert "operations.flights     -" in least


def test_bars_show_the_count_that_is_asked_for(control: ControlPlane, run: Run) -> None:
    summarized(control, *PRODUCTS)
    done = run("audit", "stats", "--by", "product", "--by", "class", "--of", "rows", size=(80, 24))
    _, most, half, least = done.out.splitlines()
    assert "█" in most
    assert half.endswith("▏")
    assert not set("█▏") & set(least)


def test_a_pipe_gets_neither_bars_nor_colour(control: ControlPlane, run: Run) -> None:
    summarized(control, *PRODUCTS)
    out = run("audit", "stats", "--by", "product", "--by", "class").out
    assert out.splitlines()[1].split() == [
        "bookings.reservations", "restricted", "1,412", "3", "120,345",
    ]  # fmt: skip
    assert out.isascii()
    assert "\x1b" not in out


def test_a_narrow_terminal_has_no_room_for_bars(control: ControlPlane, run: Run) -> None:
    summarized(control, *PRODUCTS)
    out = run("audit", "stats", "--by", "product", "--by", "class", size=(50, 24)).out
    assert "█" not in out
    assert all(len(line) <= 50 for line in out.splitlines()[1:])


def test_hours_without_a_read_are_shown_between_the_others(control: ControlPlane, run: Run) -> None:
    hours = [group(f"2026-11-24T0{hour}:00:00Z", reads=hour) for hour in (1, 4)]
    summarized(control, *hours)
    lines = run("audit", "stats", "--by", "hour").out.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [
        ["2026-11-24T01:00:00Z", "1"],
        ["2026-11-24T02:00:00Z", "0"],
        ["2026-11-24T03:00:00Z", "0"],
        ["2026-11-24T04:00:00Z", "4"],
    ]
    assert control.last("SummarizeReads").limit == 1_000
    assert len(json.loads(run("audit", "stats", "--by", "hour", "-o", "json").out)) == 2


def test_stats_are_data_in_every_other_form(control: ControlPlane, run: Run) -> None:
    summarized(control, *PRODUCTS)
    words = ("audit", "stats", "--by", "product", "--by", "class")
    first, *_, last = json.loads(run(*words, "-o", "json").out)
    assert first == {
        "product": "bookings.reservations",
        "class": "restricted",
        "reads": 1_412,
        "refused": 3,
        "rows": 120_345,
        "bytes": 1_203_450,
        "first": "2026-11-24T19:00:00Z",
        "last": "2026-11-24T21:57:00Z",
    }
    assert last["class"] is None
    table = list(csv.DictReader(io.StringIO(run(*words, "-o", "csv").out)))
    assert [row["reads"] for row in table] == ["1412", "706", "1"]
    summarized(control)
    assert run(*words, "-o", "csv").out == "product,class,reads,refused,rows,bytes,first,last\n"


@pytest.mark.parametrize(
    ("count", "blocks", "drawn"),
    [(0, True, ""), (1, True, "▏"), (50, True, "█████"), (99, True, "█████████▉"), (1, False, "#")],
)
def test_a_bar_is_as_long_as_its_share(count: int, blocks: bool, drawn: str) -> None:
    assert bar(count, 100, 10, blocks=blocks) == drawn
    assert bar(count, 0, 10) == ""


def test_a_png_is_drawn_and_opens(control: ControlPlane, run: Run, tmp_path: Path) -> None:
    summarized(control, *PRODUCTS)
    file = tmp_path / "reads.png"
    done = run("audit", "stats", "--by", "product", "--by", "class", "--plot", str(file))
    assert f"Drawn in {file}." in done.err.replace("\n  ", " ")
    pixels = imread(file)
    assert pixels.shape[0] > 300 and pixels.shape[1] > 1_000
    assert 0.2 < float(pixels[..., 0].mean()) < 0.99


def test_a_page_needs_nothing_from_elsewhere(
    control: ControlPlane, run: Run, tmp_path: Path
) -> None:
    summarized(control, *PRODUCTS, group("<b>&", "public", reads=5))
    file = tmp_path / "reads.html"
    assert run("audit", "stats", "--by", "product", "--by", "class", "--plot", str(file)).code == 0
    page = file.read_text()
    reader = Texts()
    reader.feed(page)
    assert {"1,412", "<b>&", "reads by product, class"} <= reader.found
    for foreign in ("<script", "<link", "<img", "src=", "@import", "url(http", 'href="http'):
        assert foreign not in page


@pytest.mark.parametrize("by", [("day",), ("product", "hour")], ids=" ".join)
def test_counts_over_time_are_drawn(
    by: Sequence[str], control: ControlPlane, run: Run, tmp_path: Path
) -> None:
    times = {"day": "2026-11-{:02}", "hour": "2026-11-24T{:02}:00:00Z"}
    groups = [
        group(*(times[name].format(n) if name in times else f"d.p{n % 12}" for name in by), reads=n)
        for n in range(1, 24)
    ]
    summarized(control, *groups)
    file = tmp_path / "reads.html"
    words = [word for name in by for word in ("--by", name)]
    assert run("audit", "stats", *words, "--plot", str(file)).code == 0
    drawing = file.read_text().partition("<svg")[2].partition("</svg>")[0]
    assert drawing.count(">d.p") == (MOST_SERIES - 1 if len(by) > 1 else 0)
    assert ("others" in drawing) == (len(by) > 1)


def test_nothing_is_drawn_as_such(control: ControlPlane, run: Run, tmp_path: Path) -> None:
    summarized(control)
    file = tmp_path / "reads.html"
    assert run("audit", "stats", "--plot", str(file)).code == 0
    assert "nothing" in file.read_text()


def test_a_plot_without_its_library_names_the_extra(
    control: ControlPlane, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("audit", "stats", "--plot", str(tmp_path / "reads.png"))
    assert done.code == USAGE
    assert "pip install 'meshwarden[plot]'" in done.err
    assert control.asked == []


def test_a_plot_that_cannot_be_written_says_so(
    control: ControlPlane, run: Run, tmp_path: Path
) -> None:
    summarized(control, *PRODUCTS)
    (tmp_path / "reads.png").symlink_to(tmp_path / "gone" / "reads.png")
    done = run(
        "audit", "stats", "--by", "product", "--by", "class", "--plot", str(tmp_path / "reads.png")
    )
    assert done.code == USAGE
    assert "can't be written" in done.err


def investigated(control: ControlPlane) -> None:
    answers = {
        (audit_pb2.DIMENSION_ACTOR,): [group("user:ana", reads=1_413, refused=3, rows=120_345)],
        (audit_pb2.DIMENSION_PRODUCT, audit_pb2.DIMENSION_CLASSIFICATION): PRODUCTS,
        (audit_pb2.DIMENSION_PURPOSE, audit_pb2.DIMENSION_OUTCOME): [
            group("crew-planning", "completed", reads=1_410, rows=120_345)
        ],
    }
    control.answers["SummarizeReads"] = lambda asked: audit_pb2.SummarizeReadsResponse(
        groups=answers[tuple(asked.dimensions)]
    )
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse(entries=[samples.entry()])


def test_reads_tell_an_investigator_how_much_of_what_and_the_receipts(
    control: ControlPlane, run: Run
) -> None:
    investigated(control)
    done = run("audit", "reads", "--who", "user:ana", "--since", "7d", size=(80, 24))
    assert "1,413" in done.out
    assert "restricted" in done.out
    assert samples.RECEIPT_ID in done.out
    assert "mesh why" in done.err
    assert "latest 1 of 1,413" in done.err
    selections = [a.request.selection for a in control.asked if a.method == "SummarizeReads"]
    assert [selection.actor for selection in selections] == ["user:ana"] * 3
    listed = control.last("ListEntries")
    assert (listed.kind, listed.actor, listed.page_size) == ("read", "user:ana", 20)
    assert listed.since == selections[0].since


def test_reads_as_data_hold_groups_and_receipts(control: ControlPlane, run: Run) -> None:
    investigated(control)
    told = json.loads(run("audit", "reads", "--who", "user:ana", "-o", "json").out)
    assert (told["who"], told["reads"], told["since"]) == ("user:ana", 1_413, None)
    assert [row["class"] for row in told["by_product"]] == ["restricted", "public", None]
    assert told["by_purpose"][0]["outcome"] == "completed"
    assert told["latest"][0]["receipt"] == samples.RECEIPT_ID


def test_reads_of_somebody_who_read_nothing(control: ControlPlane, run: Run) -> None:
    summarized(control)
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse()
    done = run("audit", "reads", "--who", "user:eve")
    assert "No reads of user:eve" in done.err
    assert done.code == 0
    assert json.loads(run("audit", "reads", "--who", "user:eve", "-o", "json").out)["reads"] == 0


def test_tail_prints_the_oldest_first(control: ControlPlane, run: Run) -> None:
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse(
        entries=[samples.entry(number=1), samples.entry("read.refused", number=2)]
    )
    lines = run("audit", "tail", "-o", "json").out.splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["read.refused", "read.completed"]


def test_tail_follows_from_the_last_entry_and_across_a_restart_without_a_gap(
    control: ControlPlane, run: Run, clock: Clock
) -> None:
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse(entries=[samples.entry()])
    away = errors.ControlUnavailable("the control plane is stopping", server="here")
    control.answers["TailEntries"] = [
        lambda _: arriving(samples.entry("read.refused", number=5)),
        away,
        away,
        lambda _: arriving(samples.entry(number=1), samples.entry("read.aborted", number=6)),
        errors.TokenExpired("the token expired"),
    ]
    done = run("audit", "tail", "--follow")
    assert done.code == errors.TokenExpired.kind.exit_code
    asked = [a.request.cursor for a in control.asked if a.method == "TailEntries"]
    assert asked == ["c1", "c5", "c5", "c5", "c6"]
    first, second, third = done.out.splitlines()
    assert "read.completed" in first
    assert "read.refused" in second
    assert "2026-11-24T21:55:00Z" in second
    assert "read.aborted" in third
    assert clock.pauses == [0.5, 1.0, 2.0, 0.5]
    assert "the last cursor is c5." in done.err
    assert "The control plane is back." in done.err


def test_tail_of_an_empty_timeline_follows_from_its_beginning(
    control: ControlPlane, run: Run
) -> None:
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse()
    control.answers["TailEntries"] = errors.TokenExpired("the token expired")
    run("audit", "tail", "--follow")
    assert control.last("TailEntries").cursor == "0"


def test_tail_without_lines_follows_from_the_newest_entry(control: ControlPlane, run: Run) -> None:
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse(entries=[samples.entry()])
    control.answers["TailEntries"] = errors.TokenExpired("the token expired")
    assert run("audit", "tail", "--follow", "-n", "0").out == ""
    assert control.last("TailEntries").cursor == "c1"


def test_tail_goes_on_after_a_cursor_without_listing(control: ControlPlane, run: Run) -> None:
    control.answers["TailEntries"] = errors.TokenExpired("the token expired")
    run("audit", "tail", "--follow", "--after", "c9")
    assert [a.method for a in control.asked] == ["TailEntries"]
    assert control.last("TailEntries").cursor == "c9"
    assert run("audit", "tail", "--after", "c9").code == USAGE
