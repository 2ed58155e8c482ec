"""`mesh context`: keep addresses and tokens of control planes."""

from datetime import datetime

import click

from cli.commands import MeshGroup
from cli.connection import address
from cli.contexts import Context, save
from cli.documents import read_document
from cli.output import Detail, Listing
from cli.session import Session, pass_session
from cli.unverified import described
from mesh.names import HYPHENATED_RULE, is_hyphenated


@click.group(
    cls=MeshGroup,
    help="Keep addresses and tokens of control planes.",
    examples="""
    mesh context set dev --server 127.0.0.1:7443 --token-file dev.token
    mesh context list
    mesh context use dev
    """,
)
def context() -> None:
    """Keep addresses and tokens of control planes."""


@context.command(
    name="list",
    help="List the contexts; the current one is marked.",
    examples="mesh context list",
)
@pass_session
def list_contexts(session: Session) -> None:
    kept = session.contexts()
    records = [
        {
            "name": name,
            "current": name == kept.current,
            "server": found.server,
            "ca_file": found.ca_file,
            "token": _token(found.token, session.now()),
        }
        for name, found in sorted(kept.contexts.items())
    ]
    empty = "No contexts. `mesh context set NAME --server HOST:PORT --token-file FILE` adds one."
    session.show(Listing(records, ("name", "current", "server", "token"), empty))


@context.command(
    help="Use this context from now on.",
    examples="mesh context use dev",
)
@click.argument("name")
@pass_session
def use(session: Session, name: str) -> None:
    save(session.environment.config_file(), session.contexts().using(name))
    session.say(f"Using context {name}.")


@context.command(
    name="set",
    help="Add a context or change it: --server, --ca-file, and --token or --token-file.",
    examples="""
    mesh context set dev --server 127.0.0.1:7443 --token-file dev.token
    mesh token issue --lifetime 8h | mesh context set dev --token-file -
    """,
)
@click.argument("name")
@click.option("--token-file", metavar="FILE", help="Read the token from here; - is stdin.")
@pass_session
def set_context(session: Session, name: str, token_file: str | None) -> None:
    if not is_hyphenated(name):
        raise click.UsageError(f"{name!r} can't name a context; it is {HYPHENATED_RULE}.")
    flags = session.flags
    token = _read_token(token_file) if token_file else flags.token
    if not (flags.server or token or flags.ca_file):
        raise click.UsageError("Nothing to keep. Give --server, --token-file or --ca-file.")
    if flags.server:
        address(flags.server)
    kept = session.contexts()
    before = kept.contexts.get(name, Context())
    after = Context(
        flags.server or before.server, token or before.token, flags.ca_file or before.ca_file
    )
    file = session.environment.config_file()
    changed = kept.having(name, after)
    save(file, changed)
    current = "it is current" if changed.current == name else f"current is {changed.current}"
    session.say(f"Kept context {name} in {file}; {current}.")


@context.command(
    help="Show what the next command would use, and where each setting comes from.",
    examples="""
    mesh context show
    mesh context show --context prod -o json
    """,
)
@pass_session
def show(session: Session) -> None:
    found = session.settings()
    settings = {
        "context": found.context,
        "server": found.server,
        "token": found.token,
        "ca_file": found.ca_file,
    }
    record: dict[str, object] = {
        name: {"value": setting.value, "from": setting.source or None}
        for name, setting in settings.items()
    }
    record["token"] = {
        "value": _token(found.token.value, session.now()),
        "from": found.token.source or None,
    }
    worded: dict[str, object] = {
        name: f"{part['value']}  (from {part['from']})" if part["value"] else None
        for name, part in record.items()
        if isinstance(part, dict)
    }
    worded["file"] = str(session.environment.config_file())
    record["file"] = worded["file"]
    session.show(Detail(record, ("context", "server", "token", "ca_file", "file"), worded=worded))


def _token(token: str | None, now: datetime) -> str | None:
    """What a token says of itself; never the token."""
    return described(token, now) if token else None


def _read_token(name: str) -> str:
    text = read_document(name).content.decode("ascii", errors="replace").strip()
    if not text or not text.isascii() or any(part.isspace() for part in text):
        raise click.UsageError(f"{name} holds no token.")
    return text
