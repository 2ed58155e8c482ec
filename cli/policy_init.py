"""`mesh policy init`: the rules that a company starts with."""

from pathlib import Path

import click

from cli.commands import MeshCommand
from cli.output import Listing
from cli.policy_reports import LAYER, LAYER_HELP
from cli.session import Session, pass_session
from mesh.decisions.shipped import starter


@click.command(
    cls=MeshCommand,
    help="Write rules to start from into FOLDER, each with its tests. What is there already is"
    " never replaced.",
    examples="""
    mesh policy init rules --layer organisation
    mesh policy init bookings-rules --layer domain
    """,
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--layer", type=LAYER, required=True, help=LAYER_HELP)
@pass_session
def init(session: Session, folder: Path, layer: str) -> None:
    modules = starter(layer)
    taken = [path for path in modules if (folder / path).is_symlink() or (folder / path).exists()]
    if taken:
        raise click.UsageError(
            f"{folder} has {', '.join(taken)} already; name another folder, nothing was written."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in modules.items():
            with (folder / path).open("xb") as file:
                file.write(text.encode())
    except OSError as error:
        raise click.UsageError(f"{folder} can't be written to: {error.strerror}.") from error
    records = [{"file": (folder / path).as_posix()} for path in modules]
    session.show(Listing(records, ("file",)))
    session.say(f"Change them, then run `mesh policy check {folder} --layer {layer}`.")
