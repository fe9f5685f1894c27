"""The words `--clip` and `--all-clips`."""

from __future__ import annotations

import json
from dataclasses import dataclass

from vfxswap.errors import UsageError


@dataclass(frozen=True, slots=True)
class Clips:
    """Which clips the command line asks for."""

    names: tuple[str, ...] = ()
    is_all: bool = False

    @property
    def is_several(self) -> bool:
        """Whether they are more than the one that `[shot] clip` could say."""
        return self.is_all or len(self.names) > 1 or any(letter in name for name in self.names for letter in "*?[")

    @property
    def overrides(self) -> tuple[str, ...]:
        """The one clip, as `--set` has it."""
        if self.is_several:
            return ()
        return tuple(f"shot.clip={json.dumps(name, ensure_ascii=False)}" for name in self.names)

    def check_alone(self, *, is_spread: bool) -> None:
        """Whether several clips may be run in this way.

        Raises:
            UsageError: They may not; says what to do.
        """
        if is_spread:
            raise UsageError("chunks and engines take one clip at a time; name it with --clip NAME")
