"""The command line: `vfxswap run | check | demo | plugins | schema | docs | models | identity | lab | doctor`."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The words after the program's name; None takes those of this process.

    Returns:
        How the process should end; a number of `vfxswap.errors.ExitCode`.
    """
    from vfxswap.cli.app import main as run  # noqa: PLC0415 - importing the package must stay free

    return run(arguments)
