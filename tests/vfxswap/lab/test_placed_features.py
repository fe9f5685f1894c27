"""Another face's proportions on a head, against a performer who wears that face: no picture is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch

from vfxswap.alignment import as_ibug68
from vfxswap.geometry import REGIONS, Landmarks
from vfxswap.lab.camera import Camera, View
from vfxswap.lab.landmarks import face_truth
from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.motion import Acting, Performance
from vfxswap.lab.performer import Detail, Performer, Stance, make_performer
from vfxswap.lab.stills import STILLS
from vfxswap.ops.proportions import inside_outline, offsets, reshaped, rest_shape

SIZE = 512
NAMES = ("ada", "ben", "chi", "dov", "eun")


def seen(performer: Performer, stances: Sequence[Stance]) -> list[Landmarks]:
    view = View(Camera(focal_mm=60.0), SIZE, SIZE)
    far = torch.full((SIZE, SIZE), 1e6)
    with torch.inference_mode():
        return [face_truth(0, performer, stance, view, far).mesh for stance in stances]


def off(faces: Sequence[Landmarks], truth: Sequence[Landmarks]) -> float:
    """Root mean square distance of brows, nose, eyes and lips, in distances of the eyes."""
    total = 0.0
    for face, true in zip(faces, truth, strict=True):
        left, right = (true.points[list(REGIONS["mesh468"][eye])].mean(axis=0) for eye in ("left_eye", "right_eye"))
        apart = (as_ibug68(face).points - as_ibug68(true).points)[17:, :2] / np.linalg.norm(right - left)
        total += float(np.square(apart).sum(axis=1).mean())
    return float(np.sqrt(total / len(truth)))


@pytest.fixture(scope="module")
def cast() -> dict[str, Performer]:
    with torch.inference_mode():
        return {name: make_performer(PERFORMERS[name], Detail.for_scale(10)) for name in NAMES}


@pytest.mark.parametrize(("count", "most"), [(1, 0.55), (11, 0.5)])
def test_features_land_nearer_to_where_that_face_has_them(cast: dict[str, Performer], count: int, most: float) -> None:
    """Of one still, and of as many as an identity of the lab has."""
    play = Performance(Acting(seed=4, talk=1.0), length_seconds=4.0)
    stances, shares = [play.at(second) for second in np.linspace(0, 4, 24).tolist()], []
    for who, other in pairwise((*NAMES, NAMES[0])):
        plate, truth = seen(cast[who], stances), seen(cast[who].wearing(cast[other].looks), stances)
        own, wanted = rest_shape(plate), rest_shape(seen(cast[other], STILLS[:count]))
        assert own is not None
        assert wanted is not None
        change, share = offsets(wanted, own, "mesh468"), inside_outline(own, "mesh468")
        shares.append(off([reshaped(face, own, change, share) for face in plate], truth) / off(plate, truth))
    assert np.mean(shares) < most
    assert max(shares) < 0.7
