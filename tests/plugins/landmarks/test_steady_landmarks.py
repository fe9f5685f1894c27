"""The stage: it follows each face over its window, through gaps and crossings, never over a cut, and cuts anew."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from vfxswap.alignment import CropSpec
from vfxswap.chunks import Batches, spans_to_compute
from vfxswap.crops import View
from vfxswap.drivers import Shot, Step, driver_for
from vfxswap.drivers.time import GivenCuts
from vfxswap.frame import Detection, Face, Frame
from vfxswap.geometry import Landmarks, Points, mapped
from vfxswap.line import Meter, Station, carry, reach
from vfxswap.stage import Window
from vfxswap.testing import face_points, options_of, setting, synthetic_frame
from vfxswap_plugins.landmarks.steady import SteadyLandmarks, followed

PLATE = synthetic_frame(1, width=16, height=16)


def face(x: float, *, y: float = 40, scale: float = 100, score: float = 0.9, track: int | None = None) -> Face:
    points = mapped(np.array([(scale, 0, x), (0, scale, y)]), face_points())
    return seen(points, score=score, track=track)


def seen(points: Points, *, score: float = 0.9, track: int | None = None) -> Face:
    detection = Detection((0, 0, 1, 1), score, track=track)
    return Face(detection, landmarks=Landmarks(points, "mesh468"))


def frame(number: int, *faces: Face) -> Frame:
    return replace(PLATE, number=number).with_faces(faces)


def stage(**values: object) -> SteadyLandmarks:
    return SteadyLandmarks(options_of(SteadyLandmarks, values), setting())


def trembling(count: int) -> list[Frame]:
    draws = np.random.default_rng(1)
    rest = mapped(np.array([(100.0, 0, 40), (0, 100.0, 40)]), face_points())
    return [frame(n, seen(rest + draws.normal(0, 0.1, rest.shape))) for n in range(count)]


def points_of(frames: Sequence[Frame]) -> NDArray[np.float64]:
    marks = [f.faces[0].landmarks for f in frames]
    return np.stack([m.points for m in marks if m is not None])


def run(frames: Sequence[Frame], **values: object) -> list[Frame]:
    made = stage(**values)
    behind, ahead = made.window
    found = []
    for place in range(len(frames)):
        first = max(place - behind, 0)
        found.append(made.process(Window(tuple(frames[first : place + ahead + 1]), place - first)))
    return found


def jitter(frames: Sequence[Frame]) -> float:
    return float(np.sqrt((np.diff(points_of(frames), 2, axis=0) ** 2).mean()))


def test_trembling_goes() -> None:
    frames = trembling(24)
    assert jitter(run(frames)) < 0.25 * jitter(frames)


def test_it_does_as_much_as_it_is_told() -> None:
    frames = trembling(12)
    assert jitter(frames) > jitter(run(frames, strength=0.5)) > jitter(run(frames))
    assert jitter(run(frames, tolerance_percent=0.01)) > 0.99 * jitter(frames)


@pytest.mark.parametrize("values", [{"strength": 0}, {"radius_frames": 0}])
def test_nothing_is_nothing(values: dict[str, object]) -> None:
    frames = trembling(5)
    assert all(a.faces[0] is b.faces[0] for a, b in zip(run(frames, **values), frames, strict=True))


def test_the_window_is_its_radius() -> None:
    assert stage(radius_frames=7).window == (7, 7)


def test_what_lies_beyond_the_window_does_not_count() -> None:
    frames = trembling(20)
    whole = points_of(run(frames, radius_frames=3))
    part = points_of(run(frames[5:16], radius_frames=3))
    assert part[3:-3].tobytes() == whole[8:13].tobytes()


def test_a_face_that_is_seen_once_is_left_alone() -> None:
    alone = frame(3, face(40))
    window = Window((frame(2), alone, frame(4)), 1)
    assert stage().process(window).faces[0] is alone.faces[0]


def test_a_face_without_landmarks_passes() -> None:
    bare = frame(3, Face(Detection((0, 0, 1, 1), 0.9)))
    assert stage().process(Window((frame(2, face(40)), bare), 1)).faces[0] is bare.faces[0]


CUT, COUNT, SPEC = 11, 20, CropSpec(size_px=32)


def carried(numbers: Sequence[int]) -> dict[int, bytes]:
    """Points, similarities and crops of some frames of a trembling face, by the host's own line."""
    frames = [f.with_faces([_placed(f.faces[0])]) for f in trembling(COUNT)]
    shot = Shot(View(PLATE.plate.tags, 0, torch.device("cpu")), 0, COUNT - 1)
    steps: list[Step] = [GivenCuts({CUT}), driver_for(stage(radius_frames=3), shot, {})]
    line = [Station(type(step).__name__, "test", step) for step in steps]
    found: dict[int, bytes] = {}
    with ThreadPoolExecutor(2) as pool:
        for first, last in spans_to_compute(numbers, 0, COUNT - 1, reach(line)):
            batches = Batches(frames[first : last + 1])
            for batch in carry(batches, line, wanted=numbers, pool=pool, ahead=2, meter=Meter()):
                found.update({f.number: _bytes(f.faces[0]) for f in batch if f.number in numbers})
    return found


def _placed(face: Face) -> Face:
    return replace(face, plate_to_crop=np.eye(2, 3), crop_size=32, crop_spec=SPEC, crop=torch.zeros(3, 32, 32))


def _bytes(face: Face) -> bytes:
    assert face.landmarks is not None
    assert face.plate_to_crop is not None
    assert face.crop is not None
    return face.landmarks.points.tobytes() + face.plate_to_crop.tobytes() + face.crop.numpy().tobytes()


@pytest.mark.parametrize("size", [1, 7, 16])
def test_chunks_are_pieces_of_the_whole(size: int) -> None:
    whole = carried(range(COUNT))
    pieces = {n: bits for first in range(0, COUNT, size) for n, bits in carried(_chunk(first, size)).items()}
    assert len(set(whole.values())) == COUNT
    assert pieces == whole


def _chunk(first: int, size: int) -> range:
    return range(first, min(first + size, COUNT))


def test_nothing_is_looked_at_beyond_a_cut() -> None:
    """A shot that ends at the cut gives the same."""
    whole = points_of(run(trembling(COUNT)[:CUT], radius_frames=3))
    assert [bits[: whole[0].nbytes] for bits in carried(range(CUT)).values()] == [p.tobytes() for p in whole]


def numbers_of(frames: Sequence[Frame], center: int, place: int = 0) -> list[tuple[int, Face]]:
    window = Window(tuple(frames), center)
    return followed(window, window.frame.faces[place])[0]


def test_a_face_is_followed_through_a_gap() -> None:
    frames = [frame(1, face(40)), frame(2, face(44)), frame(3), frame(4, face(52)), frame(5, face(56))]
    assert [number for number, _ in numbers_of(frames, 1)] == [1, 2, 4, 5]


def test_another_face_far_away_is_another() -> None:
    frames = [frame(1, face(300)), frame(2, face(40)), frame(3, face(300))]
    assert [number for number, _ in numbers_of(frames, 1)] == [2]


def test_two_faces_that_pass_each_other_are_not_taken_for_one_another() -> None:
    paths = [[40 + 12 * n for n in range(9)], [136 - 12 * n for n in range(9)]]
    frames = [frame(n, face(a, y=40), face(b, y=70)) for n, (a, b) in enumerate(zip(*paths, strict=True))]
    frames = [f.with_faces(f.faces[:: (-1) ** f.number]) for f in frames]
    for place in (0, 1):
        line = [f.landmarks.points[:, 1].min() for _, f in numbers_of(frames, 4, place) if f.landmarks is not None]
        assert len(line) == 9
        assert np.ptp(line) < 1


def test_a_neighbour_does_not_stand_in_for_one_who_left() -> None:
    frames = [frame(1, face(40), face(75)), frame(2, face(75))]
    assert [number for number, _ in numbers_of(frames, 0, 0)] == [1]
    assert [number for number, _ in numbers_of(frames, 0, 1)] == [1, 2]


def test_tracks_are_believed() -> None:
    frames = [frame(1, face(40, track=1)), frame(2, face(41, track=2), face(48, track=1)), frame(3, face(49))]
    found = numbers_of(frames, 0)
    assert [(number, other.detection.track) for number, other in found] == [(1, 1), (2, 1), (3, None)]


def test_other_points_are_no_neighbours() -> None:
    """An aligner that gives five points in one frame and a mesh in the next."""
    five = replace(face(40), landmarks=Landmarks(np.arange(10.0).reshape(5, 2), "five"))
    assert [number for number, _ in numbers_of([frame(1, five), frame(2, face(40))], 1)] == [2]


@pytest.mark.parametrize(
    "values", [{"radius_frames": 17}, {"radius_frames": -1}, {"strength": 1.1}, {"tolerance_percent": 0}]
)
def test_options_have_bounds(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        stage(**values)
