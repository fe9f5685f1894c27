"""Gaps between two sightings: a textured thing that moves, turns, is hidden, or is gone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vfxswap.errors import ShapeError
from vfxswap.ops.bridging import FADE, Bridged, Seen, bridged
from vfxswap.ops.flow import Codes, even_luma

SIDE, WIDTH, HEIGHT = 48, 200, 120
Texture = NDArray[np.float32]


def texture(seed: int, height: int, width: int, blur: float = 2.0) -> Texture:
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), blur)
    return np.asarray((soft - soft.min()) / (soft.max() - soft.min()), np.float32)


def path(frame: float) -> tuple[float, float]:
    """Where the thing's corner is: on a curve, so that no straight line will do."""
    return 20 + 9 * frame, 20 + 26 * np.sin(0.35 * frame)


def picture(frame: int, *, cover: bool = False) -> Codes:
    plate = 0.5 * texture(1, HEIGHT, WIDTH, 4.0)
    x, y = path(frame)
    thing = np.array([[1, 0, x], [0, 1, y]], np.float32)
    face = cv2.warpAffine(texture(2, SIDE, SIDE), thing, (WIDTH, HEIGHT))
    mask = cv2.warpAffine(np.ones((SIDE, SIDE), np.float32), thing, (WIDTH, HEIGHT))
    plate = plate * (1 - mask) + face * mask
    if cover:
        plate[:, 40:140] = texture(3, HEIGHT, 100)
    return even_luma(torch.from_numpy(np.repeat(plate[None], 3, axis=0)))


def seen(frame: int) -> Seen:
    x, y = path(frame)
    return Seen((x, y, x + SIDE, y + SIDE), np.array([[x + 12, y + 16], [x + 36, y + 16]]))


def off_px(found: Bridged, frame: int) -> float:
    return float(np.abs(found.points - seen(frame).points).max())


def test_a_gap_is_followed_round_a_bend() -> None:
    gap = bridged([picture(n) for n in range(9)], seen(0), seen(8))
    assert len(gap) == 7
    straight = max(abs(path(n)[1] - (path(0)[1] + n / 8 * (path(8)[1] - path(0)[1]))) for n in range(9))
    assert straight > 20
    assert max(off_px(found, n) for n, found in enumerate(gap, 1)) < 0.5
    assert all(np.allclose(np.ptp(np.reshape(found.box, (2, 2)), axis=0), SIDE, atol=1) for found in gap)


def test_confidence_falls_with_the_distance_from_what_was_seen() -> None:
    gap = [found.confidence for found in bridged([picture(n) for n in range(9)], seen(0), seen(8))]
    assert gap[0] > gap[1] > gap[2] > gap[3]
    assert gap[6] > gap[5] > gap[4] > gap[3] > 0.8
    assert max(gap) <= FADE


def test_what_is_hidden_is_not_believed() -> None:
    pictures = [picture(n, cover=2 <= n <= 6) for n in range(9)]
    gap = bridged(pictures, seen(0), seen(8))
    assert max(found.confidence for found in gap[2:5]) < 0.1


def test_ends_of_different_things_are_not_believed() -> None:
    x, y = path(8)
    elsewhere = Seen((x - 90, y + 30, x - 90 + SIDE, y + 30 + SIDE), seen(8).points - (90, -30))
    assert max(found.confidence for found in bridged([picture(n) for n in range(9)], seen(0), elsewhere)) < 0.25


def test_no_gap_is_no_work_and_nothing_is_asked_of_points() -> None:
    assert bridged([picture(0), picture(1)], seen(0), seen(1)) == []
    none = [Seen(seen(n).box, np.zeros((0, 2))) for n in (0, 2)]
    (found,) = bridged([picture(n) for n in range(3)], *none)
    assert found.points.shape == (0, 2)


def test_a_face_at_the_edge_or_larger_than_the_picture_does_no_harm() -> None:
    pictures = [picture(n) for n in range(3)]
    for box in ((-30.0, -30.0, 18.0, 18.0), (-500.0, -500.0, 900.0, 900.0), (196.0, 0.0, 199.0, 4.0)):
        (found,) = bridged(pictures, Seen(box, np.zeros((0, 2))), Seen(box, np.zeros((0, 2))))
        assert 0 <= found.confidence <= 1
        assert np.isfinite(found.box).all()


def test_bad_input() -> None:
    with pytest.raises(ShapeError, match="pictures of one size"):
        bridged([picture(0), picture(1)[:50], picture(2)], seen(0), seen(2))
    with pytest.raises(ShapeError, match="equally many points"):
        bridged([picture(0)] * 3, seen(0), Seen(seen(2).box, np.zeros((0, 2))))
