"""Contracts of the stages that find faces: detectors, trackers and aligners."""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from vfxswap.frame import Detection, Sighting
from vfxswap.geometry import SCHEME_SIZES, Landmarks
from vfxswap.stage import Aligner, Detector, Tracker
from vfxswap.testing.checks import untouched
from vfxswap.testing.material import PlateCutter, synthetic_plate
from vfxswap.testing.stages import StageContract


class DetectorContract(StageContract):
    """What every detector must keep."""

    @pytest.fixture
    def images(self, made: Any) -> Tensor | None:
        """Three pictures to look at, as the host makes them; None for a detector that looks at none."""
        size = made.image_size()
        if size is None:
            return None
        plates = [synthetic_plate(n, width=size[0], height=size[1]).image.clamp(0, 1) for n in range(3)]
        return torch.stack(plates).to(self.device)

    def test_it_is_a_detector(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, Detector)

    def test_detections_are_sound(self, made: Any, images: Tensor | None) -> None:
        """One list a frame, of boxes with an area and scores of 0..1."""
        found = made.detect(images, [1001, 1002, 1003])
        assert len(found) == 3
        for face in (face for faces in found for face in faces):
            assert face.box[0] < face.box[2]
            assert face.box[1] < face.box[3]
            assert 0 <= face.score <= 1
            assert face.five is None or face.five.shape == (5, 2)

    def test_detections_depend_on_each_picture_alone(self, made: Any, images: Tensor | None) -> None:
        """Chunks of a shot batch frames differently."""
        together = made.detect(images, [1001, 1002, 1003])
        alone = [made.detect(None if images is None else images[i : i + 1], [1001 + i])[0] for i in range(3)]
        assert repr(alone) == repr(together)

    def test_it_leaves_its_input_alone(self, made: Any, images: Tensor | None) -> None:
        """The host shares tensors between stages."""
        if images is None:
            pytest.skip("this detector looks at no pixels")
        with untouched(images):
            made.detect(images, [1001, 1002, 1003])

    def test_flat_pictures_show_no_harm(self, made: Any, images: Tensor | None) -> None:
        """Black frames happen."""
        if images is None:
            pytest.skip("this detector looks at no pixels")
        assert len(made.detect(torch.zeros_like(images), [1001, 1002, 1003])) == 3


class TrackerContract(StageContract):
    """What every tracker must keep."""

    @pytest.fixture
    def sightings(self, made: Any) -> Sequence[Sighting]:
        """Two faces that go their ways for 24 frames; a cut, a frame without faces, and one that the plate lacks."""
        size = made.image_size()
        seen = (number for number in range(1001, 1026) if number != 1010)
        return [_sighting(number, size, cut_before=number == 1015) for number in seen]

    def test_it_is_a_tracker(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, Tracker)

    def test_all_frames_are_answered_for(self, made: Any, sightings: Sequence[Sighting]) -> None:
        """The detector is not asked again."""
        found = made.follow(iter(sightings))
        assert list(found) == [sighting.number for sighting in sightings]

    def test_faces_are_on_tracks(self, made: Any, sightings: Sequence[Sighting]) -> None:
        """Each on one, no two of a frame on the same; what was not detected says so."""
        found = made.follow(iter(sightings))
        assert any(found.values()), "two plain faces are not followed at all"
        for sighting in sightings:
            faces = found[sighting.number]
            tracks = [face.detection.track for face in faces]
            assert None not in tracks
            assert len(set(tracks)) == len(tracks)
            for face in faces:
                assert face.detection.box[0] < face.detection.box[2]
                assert face.detection.box[1] < face.detection.box[3]
                assert 0 <= face.detection.score <= 1
                assert face.notes or replace(face.detection, track=None) in sighting.detections

    def test_it_finds_the_same_again(self, made: Any, sightings: Sequence[Sighting]) -> None:
        """Each chunk of a shot surveys the plate for itself."""
        assert repr(made.follow(iter(sightings))) == repr(made.follow(iter(sightings)))

    def test_it_leaves_its_input_alone(self, made: Any, sightings: Sequence[Sighting]) -> None:
        """Pictures are shared between threads."""
        before = repr(sightings)
        with untouched(*(sighting.picture for sighting in sightings)):
            made.follow(iter(sightings))
        assert repr(sightings) == before

    def test_shots_may_be_short_or_empty(self, made: Any, sightings: Sequence[Sighting]) -> None:
        """One frame; frames in which there is nobody."""
        assert len(made.follow(iter(sightings[:1]))) == 1
        empty = [replace(sighting, detections=()) for sighting in sightings]
        assert not any(made.follow(iter(empty)).values())


def _sighting(number: int, size: tuple[int, int] | None, *, cut_before: bool) -> Sighting:
    face, gone = synthetic_plate(number).detection.scaled(0.3, 0.3), 2.0 * (number - 1001)
    faces = () if number == 1008 else (face.moved(10 + gone, 10), face.moved(110 - gone, 90))
    picture = None if size is None else synthetic_plate(number, width=size[0], height=size[1]).image.clamp(0, 1)
    return Sighting(number, cut_before, faces, picture)


class AlignerContract(StageContract):
    """What every aligner must keep."""

    @pytest.fixture
    def detections(self) -> Sequence[Detection]:
        """Faces to align: one in each of the plates 0, 1 and 2."""
        return [synthetic_plate(n).detection for n in range(3)]

    @pytest.fixture
    def cut(self) -> PlateCutter:
        """Cuts from these plates."""
        return PlateCutter([synthetic_plate(n) for n in range(3)])

    def test_it_is_an_aligner(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, Aligner)

    def test_landmarks_are_sound(self, made: Any, detections: Sequence[Detection], cut: PlateCutter) -> None:
        """One set of finite points a face, or None."""
        found = made.align(detections, cut)
        assert len(found) == len(detections)
        for points in (face for face in found if face is not None):
            assert isinstance(points, Landmarks)
            assert len(points.points) == SCHEME_SIZES[points.scheme]
            assert bool((abs(points.points) < 1e6).all())

    def test_landmarks_depend_on_each_face_alone(
        self, made: Any, detections: Sequence[Detection], cut: PlateCutter
    ) -> None:
        """Chunks of a shot batch faces differently."""
        together = made.align(detections, cut)
        for index, expected in enumerate(together):
            (alone,) = made.align([detections[index]], PlateCutter([synthetic_plate(index)]))
            assert _same_points(alone, expected)

    def test_no_faces_give_no_landmarks(self, made: Any) -> None:
        """Frames without a face happen."""
        assert len(made.align([], PlateCutter([]))) == 0


def _same_points(one: Landmarks | None, other: Landmarks | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.scheme == other.scheme and bool((one.points == other.points).all())
