"""`mesh audit`: who read what, who changed what, and that the evidence of it is whole."""

import click

from cli.commands import Lazy, MeshGroup

COMMANDS = {
    "list": Lazy("cli.audit_entries:list_entries", "List reads and changes, newest first."),
    "tail": Lazy("cli.audit_entries:tail", "Show the latest entries, and those that arrive."),
    "stats": Lazy(
        "cli.audit_stats:stats", "Count reads in groups, as a table with bars or a plot."
    ),
    "reads": Lazy("cli.audit_reads:reads", "What somebody read: how much, of which classes."),
    "status": Lazy("cli.audit_status:status", "How much of the logs is here, signed and checked."),
    "verify": Lazy("cli.audit_verify:verify", "Check that the logs are what the agents signed."),
    "export": Lazy("cli.audit_export:export", "Write the logs to a file that anybody can check."),
    "prove": Lazy("cli.audit_prove:prove", "Prove that a receipt is in its agent's signed log."),
}


@click.group(
    cls=MeshGroup,
    help="Who read what, and who changed what.",
    examples="""
    mesh audit list --since 1h
    mesh audit stats --by product --by class --since 24h
    mesh audit reads --who user:ana --since 7d
    mesh audit tail --follow
    """,
    lazy=COMMANDS,
)
def audit() -> None:
    """Who read what, and who changed what."""
