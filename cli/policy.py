"""`mesh policy`: check and test policies; show the active one."""

from pathlib import Path

import click

from cli.commands import Lazy, MeshGroup
from cli.flags import Format
from cli.opa import PolicyProblem, TestResult, find_opa
from cli.output import Detail, Listing, Section
from cli.records import instant
from cli.rego import check_embedded, run_embedded
from cli.session import Session, pass_session
from cli.text import plain
from mesh import errors
from mesh.v1 import policies_pb2

PROBLEMS_EXIT_CODE = errors.Invalid.kind.exit_code
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
INSTALL_OPA = "Put `opa` on the PATH for the whole check."


COMMANDS = {
    "push": Lazy("cli.policy_push:push", "Check a layer's modules and keep them as a revision."),
    "list": Lazy("cli.policy_push:list_revisions", "List what was pushed, newest first."),
    "diff": Lazy("cli.policy_push:diff", "Compare a revision with what is in force."),
    "rehearse": Lazy("cli.policy_rehearse:rehearse", "Who would gain or lose what."),
    "what-if": Lazy("cli.policy_what_if:what_if", "What somebody would get, and why."),
    "activate": Lazy("cli.policy_force:activate", "Put a revision in force, for some or all."),
    "rollback": Lazy("cli.policy_force:rollback", "Put in force what was before."),
    "log": Lazy("cli.policy_force:log", "Show what was put in force, by whom and when."),
    "status": Lazy("cli.policy_force:status", "Show which agents decide with what."),
}


@click.group(
    cls=MeshGroup,
    help="Check, push and activate policies; see what is in force, and where.",
    examples="""
    mesh policy check policies
    mesh policy push policies/organisation --layer organisation
    mesh policy rehearse 57
    mesh policy activate 57 --wait 10
    mesh policy status
    """,
    lazy=COMMANDS,
)
def policy() -> None:
    """Check, push and activate policies; see what is in force, and where."""


@policy.command(
    help="Compile the modules in FOLDER strictly. Exits 4 when there are problems.",
    examples="mesh policy check policies",
)
@click.argument("folder", type=FOLDER)
@pass_session
def check(session: Session, folder: Path) -> int:
    opa = find_opa(session.environment.variables)
    if opa is None:
        problems = check_embedded(folder)
        session.say(
            "No OPA found: compiled with the embedded engine, which accepts what OPA refuses;"
            f" strict rules, types and schemas are not checked. {INSTALL_OPA}"
        )
    else:
        problems = opa.check(folder)
    records: list[dict[str, object]] = [_problem(problem) for problem in problems]
    if session.format is Format.TABLE:
        for problem in problems:
            session.write(plain(f"{_place(problem)} {problem.message}") + "\n")
    else:
        session.show(Listing(records, ("file", "line", "column", "message")))
    session.say(f"{len(problems)} problems." if problems else "No problems.")
    return PROBLEMS_EXIT_CODE if problems else 0


@policy.command(
    name="test",
    help="Run the tests beside the modules in FOLDER. Exits 4 when one fails, or there are none.",
    examples="""
    mesh policy test policies
    mesh policy test policies -o json
    """,
)
@click.argument("folder", type=FOLDER)
@pass_session
def run_tests(session: Session, folder: Path) -> int:
    opa = find_opa(session.environment.variables)
    if opa is None:
        results = run_embedded(folder)
        session.say(
            "No OPA found: ran the tests on the embedded engine; nothing was compiled strictly."
            f" {INSTALL_OPA}"
        )
    else:
        results = opa.test(folder)
    failed = [result for result in results if result.bad]
    shown = failed if session.format is Format.TABLE else results
    if shown or session.format is not Format.TABLE:
        columns = ("result", "test", "file", "line")
        session.show(Listing([_result(result) for result in shown], columns))
    passed = sum(result.passed for result in results)
    session.say(f"{passed} of {len(results)} passed." if results else f"No tests in {folder}.")
    return PROBLEMS_EXIT_CODE if failed or not results else 0


@policy.command(
    help="Show the active policy, or the text of one MODULE of it.",
    examples="""
    mesh policy show
    mesh policy show library/access.rego
    mesh policy show --digest 4f2a… library/access.rego > access.rego
    """,
)
@click.argument("module", required=False)
@click.option("--digest", metavar="DIGEST", help="This policy instead of the active one.")
@pass_session
def show(session: Session, module: str | None, digest: str | None) -> None:
    with session.client() as client:
        wanted = policies_pb2.GetPolicyRequest(digest=digest or "")
        found = client.call(client.policies.GetPolicy, wanted).policy
        if module is None:
            session.show(_detail(found))
            return
        text = client.call(
            client.policies.GetPolicyModule,
            policies_pb2.GetPolicyModuleRequest(digest=found.digest, path=module),
        ).module.text
    if session.format is Format.TABLE:
        session.write_bytes(text.encode())
        return
    record = {"path": module, "digest": found.digest, "text": text}
    session.show(Detail(record, tuple(record)))


def _detail(message: policies_pb2.Policy) -> Detail:
    modules = [{"path": m.path, "size": m.size, "digest": m.digest} for m in message.modules]
    record = {
        "digest": message.digest,
        "active": message.active,
        "since": instant(message.activate_time),
        "revision": message.revision,
        "modules": modules,
    }
    sections = [Section("Modules", Listing(modules, ("path", "size", "digest")))]
    return Detail(record, ("digest", "active", "since", "revision"), sections)


def _place(problem: PolicyProblem) -> str:
    if problem.line is None:
        return f"{problem.file}:"
    return f"{problem.file}:{problem.line}:{problem.column}"


def _problem(problem: PolicyProblem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
    }


def _result(result: TestResult) -> dict[str, object]:
    return {
        "result": result.result,
        "test": result.name,
        "file": result.file,
        "line": result.line,
    }
