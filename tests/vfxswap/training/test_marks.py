"""The landmarks that are learnt, and where they are on somebody else's face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.alignment import crop_of_type
from vfxswap.faceset import Faceset, FacesetInfo, FacesetWriter
from vfxswap.geometry import REGIONS, Landmarks
from vfxswap.ops.gaze import Gaze
from vfxswap.ops.proportions import rest_shape
from vfxswap.testing import face_landmarks
from vfxswap.training.marks import MARKS, Seen, certain, guest, marks, marks_as, seen, shape_at_rest

SIDE = 160
TO_PICTURE = np.array([(150.0, 0.0, 5.0), (0.0, 150.0, 5.0)])
LOOKS = Gaze(np.array([(0.3, 0.0), (0.3, 0.0)]), np.ones(2))


def points(*, nose_px: float = 0.0, eyes: float = 1.0, wider: float = 0.0) -> Landmarks:
    """A drawn face as half an egg; the nose lower by some pixels, the head wider by a part."""
    found = face_landmarks(TO_PICTURE, mouth_open=0.0, eyes_open=eyes).points
    across = (found[:, :2] - 80) / (56, 72)
    depth = -50 * np.sqrt(np.clip(1 - np.square(across).sum(axis=1), 0, None))
    found = np.column_stack([found[:, :2], depth])
    found[list(REGIONS["mesh468"]["nose"]), 1] += nose_px
    found[list(REGIONS["mesh468"]["oval"]), 0] += wider * (found[list(REGIONS["mesh468"]["oval"]), 0] - 80)
    return Landmarks(found, "mesh468")


def in_pixels(found: Tensor) -> Tensor:
    return (found + 1) * SIDE / 2


def test_irises_are_where_the_eye_looks_and_unknown_where_it_is_shut() -> None:
    face = points()
    found = in_pixels(marks(Seen(face, LOOKS, SIDE)))
    assert found.shape == (MARKS, 2)
    for row, eye in ((68, "left_eye"), (69, "right_eye")):
        outline = face.region(eye)  # type: ignore[arg-type]
        half = np.ptp(outline[:, 0]) / 2
        assert float(found[row, 0]) == pytest.approx(outline[:, 0].min() + 1.3 * half, abs=0.02 * half)
    unsure = marks(Seen(face, Gaze(LOOKS.offset, np.array([0.1, 1.0])), SIDE))
    assert unsure[68].isnan().all()
    assert unsure[69].isfinite().all()
    assert certain(unsure)[68].isfinite().all()
    assert torch.equal(certain(unsure)[69], unsure[69])


def test_five_points_say_nothing() -> None:
    five = Landmarks(points().five(), "five")
    assert marks(Seen(five, None, SIDE)).isnan().all()
    assert marks_as(Seen(five, None, SIDE), None).isnan().all()


def test_another_person_has_other_proportions_in_the_same_outline() -> None:
    plain, long = rest_shape([points()] * 20), rest_shape([points(nose_px=6)] * 20)
    becomes = guest(plain, long)
    assert becomes is not None
    own, other = (
        in_pixels(marks(Seen(points(), LOOKS, SIDE))),
        in_pixels(marks_as(Seen(points(), LOOKS, SIDE), becomes)),
    )
    moved = other - own
    assert float(moved[27:36, 1].mean()) > 2, "the nose is the other's"
    assert float(moved[:17].abs().max()) < 0.5, "the outline stays"
    assert float(moved[68:].abs().max()) < 1, "and so does where the eyes look"
    same = guest(plain, plain)
    assert same is not None
    assert torch.allclose(marks_as(Seen(points(), LOOKS, SIDE), same), marks(Seen(points(), LOOKS, SIDE)), atol=1e-4)


def test_a_shape_that_is_not_known_changes_nothing_by_guess() -> None:
    assert guest(None, rest_shape([points()])) is None
    assert marks_as(Seen(points(), LOOKS, SIDE), None).isnan().all()


def looking(right_px: float) -> Tensor:
    """`(3, S, S)`: skin with two white eyes whose dark irises lie that far to the right of the middle."""
    picture = torch.full((3, SIDE, SIDE), 0.6)
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    face = points()
    for eye in ("left_eye", "right_eye"):
        outline = face.region(eye)
        (cx, cy), half = outline.mean(axis=0), np.ptp(outline, axis=0) / 2
        picture[:, ((x - cx) / half[0]) ** 2 + ((y - cy) / half[1]) ** 2 < 1] = 0.95
        picture[:, ((x - cx - right_px) ** 2 + (y - cy) ** 2) < (0.35 * half[0]) ** 2] = 0.1
    return picture


def test_faces_of_a_faceset_are_seen_with_their_irises(tmp_path: Path) -> None:
    writer = FacesetWriter(tmp_path, crop_of_type("whole", SIDE), FacesetInfo(identity="ada"))
    for number, right_px in enumerate((-3.0, 3.0)):
        writer.add(looking(right_px), points(), source="sh010", frame=number + 1)
    faces: Faceset = writer.finish()
    left, right = (in_pixels(marks(seen(faces, place))) for place in (0, 1))
    assert float((right - left)[68:, 0].mean()) == pytest.approx(6, abs=2)
    assert torch.equal(left[:68], right[:68])
    shape = shape_at_rest([faces], [(0, 0), (0, 1)])
    assert shape is not None
    assert shape.points.shape == (468, 3)
