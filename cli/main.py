"""`mesh`: the command line of the mesh."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

import click
from click.shell_completion import shell_complete

from cli.commands import Lazy, MeshGroup
from cli.environment import Environment, surroundings
from cli.errors import (
    BROKEN_PIPE_EXIT_CODE,
    INTERRUPTED_EXIT_CODE,
    failure,
    tell,
    wants_json,
)
from cli.flags import Invocation, global_options

INTERRUPT_SECONDS = 2.0
COMMANDS = {
    "contract": Lazy("cli.contract:contract", "Check and compare the files that declare products."),
    "product": Lazy("cli.product:product", "Publish data products and look at them."),
    "access": Lazy("cli.access:access", "Ask for access, decide on it, end it."),
    "query": Lazy("cli.query:query", "Read governed data with SQL."),
    "why": Lazy("cli.why:why", "Explain a read from its receipt, and decide it anew."),
    "policy": Lazy("cli.policy:policy", "Check, push and activate policies."),
    "audit": Lazy("cli.audit:audit", "Who read what, and who changed what."),
    "erasure": Lazy("cli.erasure:erasure", "Make evidence about a person unreadable for ever."),
    "agent": Lazy("cli.agent:agent", "The agents of the domains, and how they are."),
    "opa": Lazy("cli.opas:opa", "OPAs that decide with the mesh's policies and are no agents."),
    "purpose": Lazy("cli.purpose:purpose", "The registered reasons for processing."),
    "token": Lazy("cli.token:token", "Issue tokens, and see who you are."),
    "context": Lazy("cli.context:context", "Keep addresses and tokens of control planes."),
    "status": Lazy("cli.status:status", "How the mesh is doing."),
    "version": Lazy("cli.status:version", "The version of this command and of the server."),
    "completion": Lazy("cli.completion:completion", "The completion script of your shell."),
}
EXAMPLES = """
mesh product list
mesh access request bookings.reservations --role analyst --purpose crew-planning \\
  --justification "rota of week 48"
mesh query 'SELECT * FROM bookings.reservations.passengers LIMIT 5' --purpose crew-planning
mesh why 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69
"""

root = MeshGroup(
    name="mesh",
    help="Declare data products, agree on access, read under policy, see the evidence.",
    examples=EXAMPLES,
    lazy=COMMANDS,
    params=list(global_options()),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)


def main() -> None:
    """The console script."""
    # Otherwise gRPC's core logs beside our own messages.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    environment = surroundings(dict(os.environ))
    instruction = environment.variables.get("_MESH_COMPLETE")
    if instruction:
        sys.exit(shell_complete(root, {}, "mesh", "_MESH_COMPLETE", instruction))
    signal.signal(signal.SIGINT, _interrupt)
    code = run(sys.argv[1:], environment)
    if code == BROKEN_PIPE_EXIT_CODE:
        # The interpreter flushes stdout once more at its end; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _interrupt(_: int, __: object) -> NoReturn:
    """Raise as usual, and end soon all the same: gRPC's native code can lose an interrupt."""
    watchdog = threading.Timer(INTERRUPT_SECONDS, os._exit, [INTERRUPTED_EXIT_CODE])
    watchdog.daemon = True
    watchdog.start()
    raise KeyboardInterrupt


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Run one command line and return its exit code; nothing is raised."""
    try:
        code = _run(arguments, environment)
        environment.out.stream.flush()
    except BrokenPipeError:
        return BROKEN_PIPE_EXIT_CODE
    except (KeyboardInterrupt, click.Abort):
        environment.err.stream.write("\ninterrupted\n")
        return INTERRUPTED_EXIT_CODE
    return code


def _run(arguments: Sequence[str], environment: Environment) -> int:
    try:
        return _invoke(arguments, environment)
    except (BrokenPipeError, click.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - the last place that can tell people
        failed = failure(error)
        environment.out.stream.flush()
        tell(failed, environment.err, wants_json(arguments))
        return failed.exit_code


def _invoke(arguments: Sequence[str], environment: Environment) -> int:
    try:
        with root.make_context("mesh", list(arguments), obj=Invocation(environment)) as ctx:
            result = root.invoke(ctx)
    except click.exceptions.NoArgsIsHelpError as error:
        environment.err.stream.write(f"{error.format_message()}\n")
        return error.exit_code
    except click.exceptions.Exit as leave:
        return leave.exit_code
    return result if isinstance(result, int) else 0
