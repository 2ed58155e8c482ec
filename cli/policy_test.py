"""`mesh policy test`: the tests of a layer alone."""

from pathlib import Path

import click

from cli.commands import MeshCommand
from cli.flags import Format
from cli.output import Listing
from cli.policy_reports import FOLDER, INSTALL_OPA, LAYER, LAYER_HELP, test_records
from cli.session import Session, pass_session
from mesh import errors
from mesh.decisions.folders import read_folder
from mesh.decisions.layer_tests import layer_outcomes
from mesh.decisions.opa_program import find_opa
from mesh.decisions.opa_tests import outcomes
from mesh.decisions.shipped import shipped
from mesh.decisions.sizes import read_texts


@click.command(
    name="test",
    cls=MeshCommand,
    help="Run the tests beside the modules in FOLDER, on OPA where there is one. Exits 4 when one"
    " fails, or there are none.",
    examples="""
    mesh policy test rules --layer organisation
    mesh policy test rules --layer domain -o json
    """,
)
@click.argument("folder", type=FOLDER)
@click.option("--layer", type=LAYER, required=True, help=LAYER_HELP)
@pass_session
def run_tests(session: Session, folder: Path, layer: str) -> int:
    texts, problems = read_texts(read_folder(folder))
    if problems:
        told = "\n".join(str(problem) for problem in problems)
        raise errors.PolicyInvalid(f"{folder} can't be a layer:\n{told}", folder=str(folder))
    opa = find_opa(session.environment.variables)
    if opa is None:
        found = layer_outcomes(layer, texts, shipped("library"))
        session.say(f"No OPA found: ran the tests on the embedded engine. {INSTALL_OPA}")
    else:
        found = outcomes(opa, texts, shipped("library"))
    failed = [one for one in found if not one.passed]
    shown = failed if session.format is Format.TABLE else found
    if shown or session.format is not Format.TABLE:
        columns = ("result", "test", "file", "line", "failure")
        session.show(Listing(test_records(folder, shown), columns))
    passed = len(found) - len(failed)
    session.say(f"{passed} of {len(found)} passed." if found else f"No tests in {folder}.")
    return errors.Invalid.kind.exit_code if failed or not found else 0
