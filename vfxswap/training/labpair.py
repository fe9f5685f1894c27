"""The lab's A/B pair: what a trained swap is measured on.

Two performers act in the lights of one shot, some hundred frames each to train on; a performance that nobody trained on
is the plate, with the truth of what a perfect swap of it would be.
"""

from __future__ import annotations

from vfxswap.errors import UsageError
from vfxswap.lab.light import RigName
from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.motion import Acting
from vfxswap.lab.shot import Lens, Lights, Role, ShotSpec
from vfxswap.lab.takes import PlayedTake
from vfxswap.training.labcasts import Cast

_A, _B = "ada", "ben"
_RIGS: tuple[RigName, ...] = ("studio", "window", "overcast")
_STEP = 2
"""Every other frame: neighbours hold little that is new."""
_UNSEEN = Acting(seed=77, talk=0.9, smile=0.35, yaw_degrees=22, tempo=1.5, blinks_per_minute=32)
_TRAINED = _UNSEEN.model_copy(update={"yaw_degrees": 28.0, "pitch_degrees": 10.0, "gaze_degrees": 12.0})

UNSEEN = ShotSpec(
    name="unseen",
    frames=(1001, 1060),
    roles=(Role(looks=PERFORMERS[_A], face=PERFORMERS[_B], acting=_UNSEEN),),
    lights=Lights(rig="studio", turn_degrees=35, dim=0.25),
    lens=Lens(shake=0.0015, grain=0.008),
)
"""The shot that is scored: A plays, the truth shows B's face."""


def pair_casts(pictures: int = 600) -> list[Cast]:
    """What is trained on: A and B, each in three lights; and the unseen shot's own faces with their truth.

    Args:
        pictures: Of each of the two to train on.

    Raises:
        UsageError: There are fewer pictures than lights.
    """
    if pictures < len(_RIGS):
        raise UsageError(f"the pair is filmed in {len(_RIGS)} lights; {pictures} pictures are too few")
    unseen = PlayedTake(UNSEEN)
    return [
        Cast("a", _takes(_A, 100, pictures)),
        Cast("b", _takes(_B, 200, pictures)),
        Cast("unseen", ((unseen, unseen.count),), PERFORMERS[_B]),
    ]


def _takes(name: str, seed: int, pictures: int) -> tuple[tuple[PlayedTake, int], ...]:
    """One take a light, of as many pictures as it takes for them to be `pictures` in all."""
    shares = [pictures // len(_RIGS) + (number < pictures % len(_RIGS)) for number in range(len(_RIGS))]
    takes = []
    for number, (rig, share) in enumerate(zip(_RIGS, shares, strict=True)):
        spec = ShotSpec(
            name=f"pair-{name}-{rig}",
            frames=(1001, 1000 + _STEP * share),
            roles=(Role(looks=PERFORMERS[name], acting=_TRAINED.model_copy(update={"seed": seed + number})),),
            lights=Lights(rig=rig, turn_degrees=40, dim=0.25),
            lens=Lens(samples=3, grain=0.008),
            seed=seed + number,
        )
        takes.append((PlayedTake(spec, step=_STEP), share))
    return tuple(takes)
