"""`vfxswap identity new | check`."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from vfxswap.cli.output import list_problems, say
from vfxswap.cli.trained import weights_lines, weights_problems
from vfxswap.errors import ExitCode, PipelineError
from vfxswap.identity import consent_problems, load_identity, write_template


def new_identity(folder: Path, name: str | None) -> None:
    """Writes a consent record to be filled in.

    Raises:
        UsageError: There is one already, or the folder cannot be made.
    """
    file = write_template(folder, name or folder.resolve().name)
    say(
        f"{file} is to be filled in; put still*.jpg (.png, .tif, .exr) or weights beside it, then:"
        f" vfxswap identity check {folder}"
    )


def check_identity(folder: Path, production: str | None, purpose: str | None) -> ExitCode:
    """Says whether an identity can be used today."""
    identity, problems = load_identity(folder.name, folder)
    if identity is not None:
        asked = production or next(iter(identity.consent.productions))
        problems += consent_problems(
            identity, production=asked, purpose=purpose, today=date.today(), where=f"identities.{folder.name}"
        )
        problems += weights_problems(identity)
    if problems or identity is None:
        list_problems(problems, sys.stdout)
        return PipelineError(problems).run_exit_code
    consent = identity.consent
    say(f"{folder}: ok")
    say(f"  {consent.performer}, consent by {consent.grantor}, {consent.valid_from} to {consent.valid_until}")
    say(f"  productions: {', '.join(consent.productions)}; purposes: {', '.join(consent.purposes)}")
    say(f"  scope: {consent.scope}")
    say(f"  {len(identity.stills)} stills, {len(identity.weights)} files of weights")
    for line in weights_lines(identity):
        say(f"  {line}")
    return ExitCode.OK
