"""What is known of a run before anything is decoded, for stages that have something to check then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vfxswap.identity import Identity
    from vfxswap.models import ModelStore


@dataclass(frozen=True, slots=True)
class Brief:
    """A run in words: who is put in, for whom, with what."""

    identities: Mapping[str, Identity]
    """Those under [identities] whose folder can be used, by name."""
    models: ModelStore
    """Where weights are found."""
    production: str | None
    """[shot] production."""
    purpose: str | None
    """[shot] purpose."""
    today: date
    """The day on which consent must be valid."""
    face_space: str
    """The colour space of the crops that stages see."""
    device: str
    """`cpu`, `cuda:0` ...; empty where it is not known: others compute, or nobody, or it is not here."""
