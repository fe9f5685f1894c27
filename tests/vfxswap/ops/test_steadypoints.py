"""Steady landmarks: trembling goes, motion stays, nothing comes late; where nothing is known, nothing is touched."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.errors import ShapeError
from vfxswap.geometry import REGIONS, mapped
from vfxswap.ops.steadypoints import PointSettings, distance, steadied_points
from vfxswap.testing import face_points

Floats = NDArray[np.float64]

COUNT = 33
NOISE_PX = 0.12
"""Deviation of the trembling: in second differences 0.5 % of the eyes' distance, as a mesh aligner's is."""
LIPS = [*REGIONS["mesh468"]["lips_outer"], *REGIONS["mesh468"]["lips_inner"]]
LIDS = [*REGIONS["mesh468"]["left_eye"], *REGIONS["mesh468"]["right_eye"]]


def head(
    x: float, y: float, *, turn: float = 0.0, scale: float = 160.0, mouth: float = 0.2, eyes: float = 1.0
) -> Floats:
    along, across = scale * np.cos(turn), scale * np.sin(turn)
    return mapped(np.array([(along, -across, x), (across, along, y)]), face_points(mouth_open=mouth, eyes_open=eyes))


def still() -> Floats:
    return np.stack([head(40, 30) for _ in range(COUNT)])


def slow() -> Floats:
    """A head that drifts, leans and comes nearer, as calm heads do in two seconds."""
    t = np.arange(COUNT) / 24
    return np.stack(
        [
            head(40 + 9 * np.sin(2 * s), 30 + 4 * np.cos(1.5 * s), turn=0.1 * np.sin(1.3 * s), scale=160 + 6 * s)
            for s in t
        ]
    )


def fast() -> Floats:
    """A head that is thrown about: some 6 px a frame, the direction changing twice a second."""
    t = np.arange(COUNT) / 24
    return np.stack([head(40 + 15 * np.sin(9.5 * s), 30 + 4 * np.cos(7 * s), turn=0.15 * np.sin(8 * s)) for s in t])


def talking() -> Floats:
    """A head at rest that speaks four syllables a second and blinks once."""
    mouths = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * np.arange(COUNT) / 24)
    lids = np.ones(COUNT)
    lids[18:23] = [0.6, 0.1, 0.0, 0.4, 0.8]
    return np.stack([head(40, 30, mouth=m, eyes=e) for m, e in zip(mouths, lids, strict=True)])


def trembling(path: Floats, seed: int = 3) -> Floats:
    """Seen by an aligner: the whole face trembles, and each of its points."""
    draws = np.random.default_rng(seed)
    shake = draws.normal(0, NOISE_PX / 2, (len(path), 1, path.shape[2]))
    return path + shake + draws.normal(0, NOISE_PX, path.shape)


def steadied(
    seen: Floats, *, settings: PointSettings | None = None, times: Floats | None = None, sure: Floats | None = None
) -> Floats:
    times = np.arange(len(seen), dtype=np.float64) if times is None else times
    sure = np.ones(len(seen)) if sure is None else sure
    frames = range(len(seen))
    return np.stack([steadied_points(seen, times, sure, center=i, settings=settings) for i in frames])


def jitter(error: Floats) -> float:
    return float(np.sqrt((np.diff(error, 2, axis=0) ** 2).mean()))


def rms(error: Floats) -> float:
    return float(np.sqrt((error**2).mean()))


@pytest.mark.parametrize("path", [still(), slow()], ids=["still", "slow"])
def test_trembling_goes(path: Floats) -> None:
    seen = trembling(path)
    result = steadied(seen)
    assert jitter(result - path) < 0.25 * jitter(seen - path)
    assert rms(result - path) < 0.6 * rms(seen - path)


@pytest.mark.parametrize("path", [fast(), talking()], ids=["fast", "talking"])
def test_fast_motion_is_no_worse_than_seen(path: Floats) -> None:
    seen = trembling(path)
    result = steadied(seen)
    speed = np.linalg.norm(np.gradient(path[..., :2], axis=0), axis=-1)
    quick = speed > 2.0
    assert quick.sum() > 100
    assert rms((result - path)[quick]) <= 1.001 * rms((seen - path)[quick])


def test_a_cheek_is_steadied_while_the_mouth_talks_and_the_eyes_blink() -> None:
    path = talking()
    seen = trembling(path)
    result = steadied(seen)
    calm = np.setdiff1d(np.arange(path.shape[1]), LIPS + LIDS)
    assert jitter((result - path)[:, calm]) < 0.4 * jitter((seen - path)[:, calm])
    opening = [np.ptp(faces[:, LIDS, 1], axis=1) for faces in (result, seen)]
    np.testing.assert_allclose(opening[0][18:23], opening[1][18:23], atol=0.08 * np.ptp(path[0, LIDS, 1]))


def test_what_rests_on_the_skull_is_steadied_more_where_it_is_known_what_moves() -> None:
    """Of an aligner that trembles as much as speech moves a cheek; brows and temples are far from lips and lids."""
    path = talking()
    seen = path + 3 * (trembling(path) - path)
    reach = np.zeros(path.shape[1])
    reach[LIPS], reach[LIDS] = 0.7, 0.1
    frames, sure, times = range(COUNT), np.ones(COUNT), np.arange(COUNT, dtype=np.float64)
    known = np.stack([steadied_points(seen, times, sure, center=i, reach=reach) for i in frames])
    unknown = steadied(seen)
    np.testing.assert_array_equal(known[:, LIPS], unknown[:, LIPS])
    np.testing.assert_array_equal(known[:, LIDS], unknown[:, LIDS])
    brows = [*REGIONS["mesh468"]["left_brow"], *REGIONS["mesh468"]["right_brow"]]
    assert jitter((known - path)[:, brows]) < 0.7 * jitter((unknown - path)[:, brows])


@pytest.mark.parametrize("path", [slow(), fast(), talking()], ids=["slow", "fast", "talking"])
def test_nothing_comes_late_or_early(path: Floats) -> None:
    """Lag in frames: what of the velocity is in the change that steadying makes."""
    velocity = np.gradient(path, axis=0)[2:-2]
    for seen, most in ((trembling(path), 0.005), (path, 0.0005)):
        change = (steadied(seen) - seen)[2:-2]
        assert abs(float((change * velocity).sum() / (velocity**2).sum())) < most


def test_the_film_may_run_backwards() -> None:
    seen = trembling(slow())
    np.testing.assert_allclose(steadied(seen[::-1])[::-1], steadied(seen), atol=1e-9)


def test_constant_speed_and_acceleration_pass() -> None:
    t = np.arange(21.0)
    path = np.stack([head(40 + 0.3 * s + 0.02 * s * s, 30 - 0.2 * s) for s in t])
    np.testing.assert_allclose(steadied(path)[2:-2], path[2:-2], atol=1e-9)


def test_the_size_of_the_picture_does_not_matter() -> None:
    seen = trembling(slow())
    np.testing.assert_allclose(steadied(seen * 4), steadied(seen) * 4, atol=1e-8)


def test_five_points_without_depth_are_steadied_too() -> None:
    five = [5, 40, 1, 61, 291]
    path = slow()[:, five, :2]
    seen = trembling(path)
    assert jitter(steadied(seen) - path) < 0.6 * jitter(seen - path)


def test_only_frames_within_the_radius_count() -> None:
    seen = trembling(slow())
    near = PointSettings(radius_frames=3)
    whole = steadied(seen, settings=near)
    for first in (0, 9, 20):
        part = seen[first : first + 7]
        middle = steadied_points(part, np.arange(7.0), np.ones(7), center=3, settings=near)
        assert middle.tobytes() == whole[first + 3].tobytes()


def test_frames_may_be_missing() -> None:
    path = slow()
    seen = trembling(path)
    kept = np.array([t for t in range(COUNT) if t % 7 != 3])
    result = steadied(seen[kept], times=kept.astype(np.float64))
    assert rms(result - path[kept]) < 0.6 * rms((seen - path)[kept])


def test_a_face_without_neighbours_is_left_alone() -> None:
    seen = trembling(still())
    alone = np.array([0.0, 100.0, 200.0])
    assert steadied(seen[:3], times=alone).tobytes() == seen[:3].tobytes()
    assert steadied(seen[:1]).tobytes() == seen[:1].tobytes()


def test_strength_is_how_far_points_go() -> None:
    seen = trembling(slow())
    whole, half, none = (steadied(seen, settings=PointSettings(strength=s)) for s in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half, (seen + whole) / 2, atol=1e-9)
    assert none.tobytes() == seen.tobytes()


def test_a_doubtful_frame_bends_to_its_neighbours_and_a_sure_one_stays() -> None:
    """Of a face that is seen 1.5 px beside its place in one frame."""
    path = slow()
    seen, at = trembling(path), 20
    seen[at, :, 0] += 1.5
    sure = np.ones(COUNT)
    stays = steadied(seen, sure=sure)[at] - path[at]
    sure[at] = 0.05
    bent = steadied(seen, sure=sure)[at] - path[at]
    assert stays[:, 0].mean() > 1.2
    assert abs(bent[:, 0].mean()) < 0.3


def test_one_lost_frame_does_not_pull_at_the_others() -> None:
    """It jumps by a face's width and is back; the frames next to it are steadied as if it were not there."""
    path = slow()
    seen, at = trembling(path), 20
    seen[at, :, :2] += 60
    result = steadied(seen)
    others = [at - 4, at - 3, at + 3, at + 4]
    assert rms((result - path)[others]) < 0.8 * rms((seen - path)[others])
    assert result[at, :, 0].mean() == pytest.approx(seen[at, :, 0].mean(), abs=1.0)


def test_points_that_are_all_one_are_left_alone() -> None:
    seen = np.zeros((5, 5, 2))
    assert steadied(seen).tobytes() == seen.tobytes()


def test_faces_apart() -> None:
    a = head(40, 30)
    assert distance(a, a) == 0
    assert distance(a, head(80, 30)) == pytest.approx(distance(head(80, 30), a))
    assert distance(a, head(80, 30)) > 0.5
    assert distance(a, head(40, 30, scale=320)) > np.log(2)
    assert distance(a, np.zeros_like(a)) == float("inf")


@pytest.mark.parametrize(
    ("points", "times", "sure", "center"),
    [
        (np.zeros((3, 5)), np.arange(3.0), np.ones(3), 0),
        (np.zeros((3, 5, 2)), np.arange(4.0), np.ones(3), 0),
        (np.zeros((3, 5, 2)), np.array([0.0, 2.0, 1.0]), np.ones(3), 0),
        (np.zeros((3, 5, 2)), np.arange(3.0), np.array([1.0, 0.0, 1.0]), 0),
        (np.zeros((3, 5, 2)), np.arange(3.0), np.ones(3), 3),
    ],
    ids=["flat", "times", "order", "confidence", "center"],
)
def test_what_does_not_agree_is_refused(points: Floats, times: Floats, sure: Floats, center: int) -> None:
    with pytest.raises(ShapeError, match="landmarks over time"):
        steadied_points(points, times, sure, center=center)
