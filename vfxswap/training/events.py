"""What a training tells while it runs; who listens draws it, logs it, or leaves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Prepared:
    """Something that comes before the first step is partly done."""

    what: str
    part: float
    """0..1."""


@dataclass(frozen=True, slots=True)
class Started:
    """All is ready for the first step."""

    out: Path
    identities: Mapping[str, int]
    """Faces of each that are trained on."""
    step: int
    """Steps done before."""
    iterations: int
    minutes: float | None
    device: str
    weights: int
    """How many numbers the network has."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """A step is done."""

    step: int
    """Steps done."""
    iterations: int
    progress: float
    """Part of the budget, 0..1."""
    size_px: int
    parts: Mapping[str, float]
    """The loss and its parts."""
    rate: float
    """Factor on the learning rate."""
    faces_per_second: float
    seconds: float
    """Since the beginning, over all resumes."""
    eta_seconds: float


@dataclass(frozen=True, slots=True)
class Previewed:
    """A preview picture is written."""

    path: Path
    step: int
    scores: Mapping[str, float]
    """PSNR in dB of each identity's held-out faces of the preview, inside the matte."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint or the trained file is written."""

    path: Path
    step: int


@dataclass(frozen=True, slots=True)
class Warned:
    """Something is odd, and training goes on."""

    message: str


Event = Prepared | Started | Stepped | Previewed | Saved | Warned
Tell = Callable[[Event], None]
