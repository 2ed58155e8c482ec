"""`mesh completion`: the completion script of a shell."""

import click
from click.shell_completion import get_completion_class

from cli.commands import MeshCommand
from cli.session import Session, pass_session


@click.command(
    cls=MeshCommand,
    help="Print the script that lets SHELL complete `mesh`.",
    examples="""
    eval "$(mesh completion bash)"
    mesh completion zsh > ~/.zfunc/_mesh
    mesh completion fish > ~/.config/fish/completions/mesh.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_session
def completion(session: Session, shell: str) -> None:
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}.")
    root = click.get_current_context().find_root().command
    session.write(found(root, {}, "mesh", "_MESH_COMPLETE").source() + "\n")
