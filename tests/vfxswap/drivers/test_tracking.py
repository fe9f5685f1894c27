"""What a tracker is shown, what it must give, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
import torch

from vfxswap.crops import View
from vfxswap.drivers.base import Around, Shot
from vfxswap.drivers.tracking import TrackerDriver
from vfxswap.errors import MediaError, ShapeError
from vfxswap.frame import Batch, Face, Frame, Sighting, Tracked
from vfxswap.pipeline.order import Link, order_problems
from vfxswap.stage import Aligner, Blend, Detector, StageOptions, Swapper, Tracker
from vfxswap.testing import setting, synthetic_frame, synthetic_plate

SIZE = (40, 20)
Found = Mapping[int, Sequence[Tracked]]


class Numbers(Tracker[StageOptions]):
    """Numbers the faces of each frame; remembers how many pictures it had at a time."""

    def image_size(self) -> tuple[int, int]:
        return SIZE

    def follow(self, sightings: Iterator[Sighting]) -> Found:
        self.seen = [(s.number, s.cut_before, s.picture is not None and tuple(s.picture.shape)) for s in sightings]
        face = synthetic_plate(1).detection
        return {number: [Tracked(replace(face, track=number), ("bridged",))] for number, _, _ in self.seen}


def frames(*numbers: int) -> list[Frame]:
    face = Face(synthetic_plate(1).detection)
    return [replace(synthetic_frame(n), cut_before=n == 1003, faces=(face, face)) for n in numbers]


def driven(stage: Tracker[StageOptions], *numbers: int) -> TrackerDriver:
    """The driver, after its survey as the host does it."""
    view = View(synthetic_frame(1).plate.tags, 0, torch.device("cpu"))
    driver = TrackerDriver(stage, Shot(view=view, first=1001, last=1004))
    batch = Batch(tuple(frames(*numbers)))
    for glance in driver.glances():
        batch = glance.work(Around((), batch, (), ()))
    driver.survey(iter(batch))
    return driver


def test_it_is_shown_the_whole_plate_with_small_pictures_and_cuts() -> None:
    stage = Numbers(StageOptions(), setting())
    driver = driven(stage, 1001, 1003, 1004)
    assert list(driver.survey_frames()) == [1001, 1002, 1003, 1004]
    assert stage.seen == [(1001, False, (3, 20, 40)), (1003, True, (3, 20, 40)), (1004, False, (3, 20, 40))]


def test_frames_get_its_faces_in_place_of_the_detectors() -> None:
    driver = driven(Numbers(StageOptions(), setting()), 1001, 1003)
    (frame,) = driver.frames(Around((), Batch((frames(1003)[0],)), (), {1003}))
    (face,) = frame.faces
    assert (face.detection.track, face.notes, face.landmarks) == (1003, ("bridged",), None)


def test_a_frame_that_it_was_not_shown_is_named() -> None:
    driver = driven(Numbers(StageOptions(), setting()), 1001, 1002)
    with pytest.raises(MediaError, match=r"frame 1003 was not seen .* as the plate broke off before it") as caught:
        driver.frames(Around((), Batch((frames(1003)[0],)), (), {1003}))
    assert caught.value.frame == 1003


def _less(found: Found) -> Found:
    return {n: faces for n, faces in found.items() if n != 1001}


def _unnamed(found: Found) -> Found:
    return {n: [Tracked(replace(faces[0].detection, track=None))] for n, faces in found.items()}


def _twice(found: Found) -> Found:
    return {n: [*faces, *faces] for n, faces in found.items()}


@pytest.mark.parametrize(
    ("spoilt", "words"), [(_less, "the 2 that it saw"), (_unnamed, r"\[None\]"), (_twice, r"\[1001, 1001\]")]
)
def test_what_is_not_kept_is_said(spoilt: Callable[[Found], Found], words: str) -> None:
    class Careless(Numbers):
        def follow(self, sightings: Iterator[Sighting]) -> Found:
            return spoilt(super().follow(sightings))

    with pytest.raises(ShapeError, match=words):
        driven(Careless(StageOptions(), setting()), 1001, 1002)


def test_it_must_look_at_all_frames() -> None:
    class Lazy(Numbers):
        def follow(self, sightings: Iterator[Sighting]) -> Found:
            return super().follow(iter([next(sightings)]))

    with pytest.raises(ShapeError, match="all frames"):
        driven(Lazy(StageOptions(), setting()), 1001, 1002)


def test_it_stands_between_detector_and_aligner() -> None:
    def problems(*kinds: type) -> list[str]:
        links = [Link(place, cls.__name__.lower(), cls) for place, cls in enumerate(kinds)]
        return [str(problem) for _, problem in order_problems(links, {})]

    assert problems(Detector, Tracker, Aligner, Swapper, Blend) == []
    (late,) = problems(Detector, Aligner, Tracker, Swapper, Blend)
    assert "stages[2] (tracker)" in late
    assert "gives faces anew, by which stages[1] (aligner) has worked already; move it before" in late
    (early,) = problems(Tracker, Detector, Aligner, Swapper, Blend)
    assert "needs detected faces, which stages[1] (detector) gives only after it" in early
