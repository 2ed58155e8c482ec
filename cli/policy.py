"""`mesh policy`: start, check and test a layer of the policy; show the active one."""

import click

from cli.commands import Lazy, MeshGroup
from cli.flags import Format
from cli.output import Detail, Listing, Section
from cli.records import instant
from cli.session import Session, pass_session
from mesh.v1 import policies_pb2

COMMANDS = {
    "init": Lazy("cli.policy_init:init", "Write the rules that a company starts with."),
    "check": Lazy("cli.policy_check:check", "Check everything of a layer before it is pushed."),
    "test": Lazy("cli.policy_test:run_tests", "Run the tests of a layer."),
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
    mesh policy init rules --layer organisation
    mesh policy check rules --layer organisation
    mesh policy push rules --layer organisation
    mesh policy rehearse 57
    mesh policy activate 57 --wait 10
    mesh policy status
    """,
    lazy=COMMANDS,
)
def policy() -> None:
    """Check, push and activate policies; see what is in force, and where."""


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
