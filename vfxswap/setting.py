"""What the host tells a stage of the machine and the shot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vfxswap.geometry import Box

if TYPE_CHECKING:
    import torch

    from vfxswap.identity import Identity
    from vfxswap.models import ModelStore


@dataclass(frozen=True, slots=True)
class Setting:
    """What the host tells a stage when it makes it; the same for every chunk of a shot."""

    device: torch.device
    """Where tensors are."""
    models: ModelStore
    """Where weights are found."""
    width: int
    """Columns of the plate."""
    height: int
    """Rows of the plate."""
    first: int
    """First frame of the plate, not of the chunk."""
    last: int
    """Last frame of the plate, not of the chunk."""
    identities: dict[str, Identity] = field(default_factory=dict)
    """Who is put in, by the names of the pipeline file."""
    display: Box | None = None
    """The display window in the plate's pixels, where it is not the whole plate (see `vfxswap.media.PlateInfo`): what
    artists draw and track has its size, and its corner for an origin."""

    @property
    def frame_of_reference(self) -> Box:
        """The display window, or the whole plate where there is no other."""
        return Box(0, 0, self.width, self.height) if self.display is None else self.display
