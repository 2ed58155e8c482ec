"""`mesh policy check`: everything that is checked of a layer before it is pushed."""

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, Unpack

import click

from cli.commands import MeshCommand
from cli.flags import Format
from cli.junit import junit
from cli.output import Detail, Listing
from cli.policy_reports import (
    FOLDER,
    INSTALL_OPA,
    LAYER,
    LAYER_HELP,
    MARKS,
    line_of,
    report_record,
)
from cli.sarif import sarif
from cli.session import Session, pass_session
from cli.text import spoken
from cli.whole_files import written_whole
from mesh import errors
from mesh.decisions.checking import NO_OPA, check_layer
from mesh.decisions.checks import DEFAULT_FLOOR, Report
from mesh.decisions.folders import read_folder
from mesh.decisions.opa_program import find_opa
from mesh.decisions.shipped import shipped

FAILED_EXIT_CODE = errors.Invalid.kind.exit_code
FILE = click.Path(dir_okay=False, path_type=Path)


class Wish(TypedDict):
    """What else to do with the report."""

    junit_file: Path | None
    sarif_file: Path | None
    coverage: float
    require_all: bool


@click.command(
    cls=MeshCommand,
    help="Check the modules in FOLDER and their tests as a push does, without a server. Exits 4"
    " when a check fails. Those that take OPA are not run without it.",
    examples="""
    mesh policy check rules --layer organisation
    mesh policy check rules --layer domain --coverage 100 --require-all
    mesh policy check rules --layer organisation --junit checks.xml --sarif checks.sarif
    """,
)
@click.argument("folder", type=FOLDER)
@click.option("--layer", type=LAYER, required=True, help=LAYER_HELP)
@click.option(
    "--coverage",
    type=click.FloatRange(0, 100),
    default=DEFAULT_FLOOR,
    metavar="PERCENT",
    show_default=True,
    help="The least share of lines that tests reach.",
)
@click.option("--require-all", is_flag=True, help="Exit 4 also when a check was not run.")
@click.option("--junit", "junit_file", type=FILE, metavar="FILE", help="Write it as JUnit too.")
@click.option("--sarif", "sarif_file", type=FILE, metavar="FILE", help="Write it as SARIF too.")
@pass_session
def check(session: Session, folder: Path, layer: str, **wish: Unpack[Wish]) -> int:
    for file in (wish["junit_file"], wish["sarif_file"]):
        if file is not None and not file.absolute().parent.is_dir():
            raise click.UsageError(f"The folder of {file} does not exist.")
    opa = find_opa(session.environment.variables)
    modules = read_folder(folder)
    report = check_layer(layer, modules, shipped("library"), opa, wish["coverage"])
    _show(session, folder, report)
    _write(wish["junit_file"], lambda: junit(folder, report))
    _write(wish["sarif_file"], lambda: sarif(folder, report))
    if report.failed or (wish["require_all"] and not report.passed):
        return FAILED_EXIT_CODE
    return 0


def _show(session: Session, folder: Path, report: Report) -> None:
    out = session.environment.out
    if session.format is Format.TABLE:
        records: list[dict[str, object]] = [
            {"check": one.name, "result": MARKS[one.outcome], "about": one.about}
            for one in report.checks
        ]
        session.show(Listing(records, ("check", "result", "about")))
        problems = [one for looked in report.checks for one in looked.problems]
        session.write("\n" if problems else "")
        for problem in problems:
            session.write(spoken(line_of(folder, problem), out.width) + "\n")
    else:
        record = report_record(folder, report)
        session.show(Detail(record, tuple(record)))
    _warn(session, report)


def _warn(session: Session, report: Report) -> None:
    """What was not run is told, also with --quiet: it is no success."""
    lacking = [one.name for one in report.not_run if one.about == NO_OPA]
    if lacking:
        warning = f"warning: no OPA found, so not run: {', '.join(lacking)}. {INSTALL_OPA}"
        err = session.environment.err
        err.stream.write(spoken(warning, err.width) + "\n")


def _write(file: Path | None, content: Callable[[], bytes]) -> None:
    if file is None:
        return
    try:
        with written_whole(file) as opened:
            opened.write(content())
    except OSError as error:
        raise click.UsageError(f"{file} can't be written: {error.strerror}.") from error
