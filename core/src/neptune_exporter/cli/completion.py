"""`completion`: the script that makes a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_PROGRAM = "neptune-exporter"
_VARIABLE = "_NEPTUNE_EXPORTER_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the completion script for a shell.

    \b
    bash  eval "$(neptune-exporter completion bash)"    in ~/.bashrc
    zsh   eval "$(neptune-exporter completion zsh)"     in ~/.zshrc
    fish  neptune-exporter completion fish > ~/.config/fish/completions/neptune-exporter.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, _PROGRAM, _VARIABLE).source())
    return 0
