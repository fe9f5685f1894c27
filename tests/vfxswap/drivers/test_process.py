"""Plain stages that move landmarks: the host cuts the crops that follow from them, and says when it is too late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from vfxswap.alignment import CropSpec
from vfxswap.crops import View, cut_crop
from vfxswap.drivers import Shot
from vfxswap.drivers.base import Around
from vfxswap.drivers.time import ProcessDriver
from vfxswap.frame import Batch, Face, Frame
from vfxswap.geometry import Landmarks
from vfxswap.pipeline.order import Link, order_problems
from vfxswap.stage import Aligner, Blend, Detector, Matte, Stage, StageOptions, Swapper, Window
from vfxswap.testing import setting, synthetic_frame, synthetic_plate

SPEC = CropSpec(size_px=64)
OTHER = CropSpec("arcface_128", 48)


class Mover(Stage[StageOptions]):
    """Moves the first face by a pixel."""

    needs = frozenset({"landmarks", "crops"})
    gives = frozenset({"landmarks", "crops"})

    def process(self, window: Window) -> Frame:
        first, *others = window.frame.faces
        if first.landmarks is None:
            return window.frame
        moved = Landmarks(first.landmarks.points + 1, first.landmarks.scheme)
        return window.frame.with_faces([replace(first, landmarks=moved), *others])


class Silent(Mover):
    """Does the same and does not say so."""

    gives = frozenset({"crops"})


def aligned(frame: Frame, view: View, *specs: CropSpec | None) -> Frame:
    """The frame with a face for each crop asked for."""
    plate = synthetic_plate(frame.number)
    faces = []
    for spec in specs:
        face = Face(plate.detection, landmarks=plate.landmarks)
        if spec is not None:
            matrix = spec.plate_to_crop(plate.landmarks)
            crop = cut_crop(frame.plate, view, matrix, spec.size_px)
            face = replace(face, plate_to_crop=matrix, crop_size=spec.size_px, crop_spec=spec, crop=crop)
        faces.append(face)
    return frame.with_faces(faces)


def driven(stage: type[Stage[Any]], *specs: CropSpec | None) -> tuple[Frame, Frame, View]:
    """A frame before and after the stage."""
    frame = synthetic_frame(1001, width=160, height=160)
    view = View(frame.plate.tags, 0, torch.device("cpu"))
    frame = aligned(frame, view, *specs)
    driver = ProcessDriver(stage(StageOptions(), setting()), Shot(view=view, first=1001, last=1001))
    (after,) = driver.frames(Around((), Batch((frame,)), (), {1001}))
    return frame, after, view


@pytest.mark.parametrize("spec", [SPEC, OTHER], ids=["aligner", "swapper"])
def test_a_moved_face_gets_the_crop_that_its_landmarks_ask_for(spec: CropSpec) -> None:
    before, after, view = driven(Mover, spec)
    face = after.faces[0]
    assert face.landmarks is not None
    assert face.crop is not None
    np.testing.assert_array_equal(face.plate_to_crop, spec.plate_to_crop(face.landmarks))
    assert torch.equal(face.crop, cut_crop(after.plate, view, spec.plate_to_crop(face.landmarks), spec.size_px))
    assert before.faces[0].crop is not None
    assert not torch.equal(face.crop, before.faces[0].crop)


def test_a_face_that_was_not_moved_keeps_its_crop() -> None:
    before, after, _ = driven(Mover, SPEC, SPEC)
    assert after.faces[1] is before.faces[1]


def test_a_face_of_nobody_is_placed_and_not_cut() -> None:
    frame = synthetic_frame(1001, width=160, height=160)
    view = View(frame.plate.tags, 0, torch.device("cpu"))
    aligned_face = aligned(frame, view, SPEC).faces[0]
    frame = frame.with_faces([replace(aligned_face, crop=None)])
    driver = ProcessDriver(Mover(StageOptions(), setting()), Shot(view=view, first=1001, last=1001))
    face = driver.frames(Around((), Batch((frame,)), (), {1001}))[0].faces[0]
    assert face.crop is None
    assert face.plate_to_crop is not None
    assert aligned_face.plate_to_crop is not None
    assert not np.array_equal(face.plate_to_crop, aligned_face.plate_to_crop)


def test_a_face_that_the_host_did_not_place_is_the_stages_own() -> None:
    _, after, _ = driven(Mover, None)
    assert after.faces[0].plate_to_crop is None


def test_a_stage_that_does_not_give_landmarks_has_its_word() -> None:
    before, after, _ = driven(Silent, SPEC)
    assert after.faces[0].plate_to_crop is before.faces[0].plate_to_crop


@pytest.mark.parametrize("worked", [Swapper, Matte])
def test_landmarks_are_not_moved_behind_the_back_of_who_used_them(worked: type[Stage[Any]]) -> None:
    kinds: list[type[Stage[Any]]] = [Detector, Aligner, Swapper, worked, Mover, Blend]
    links = [Link(place, cls.__name__.lower(), cls) for place, cls in enumerate(kinds)]
    ((place, problem),) = order_problems(links, {})
    assert place == 4
    assert "moves landmarks by which stages[2] (swapper) has worked already; move it before" in str(problem)


def test_before_them_it_may() -> None:
    kinds: list[type[Stage[Any]]] = [Detector, Aligner, Mover, Swapper, Matte, Blend]
    assert order_problems([Link(place, cls.__name__.lower(), cls) for place, cls in enumerate(kinds)], {}) == []
