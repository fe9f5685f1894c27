"""The testing kit: its material is what it says, good stages pass its suites, and each kind of bad stage fails them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from vfxswap.alignment import TEMPLATES, CropSpec
from vfxswap.errors import ShapeError
from vfxswap.geometry import SCHEME_SIZES
from vfxswap.stage import KINDS
from vfxswap.testing import (
    CONTRACTS,
    RGB_FLOAT,
    YUV420P8,
    YUV422P10,
    check_matte,
    check_tensor,
    face_batch,
    face_landmarks,
    face_window,
    faces_of,
    synthetic_frame,
    synthetic_identity,
    synthetic_plate,
)

pytest_plugins = ["pytester"]

GOOD = """
import torch
from pydantic import Field
from vfxswap.stage import *
from vfxswap.testing import *

class Good(Matte):
    "A constant matte."
    class Options(MatteOptions):
        value: float = Field(0.5, ge=0, le=1, description="Of the matte.")
    def matte(self, faces):
        return torch.full_like(faces.crops[:, :1], self.options.value)
class TestGood(MatteContract):
    stage = Good
    options = {"value": 0.25}

class Warm(ColorMatch):
    "Moves the mean."
    Options = ColorMatchOptions
    def fit(self, swapped, plate, matte):
        shift = (plate.mean(dim=(0, 2, 3)) - swapped.mean(dim=(0, 2, 3)))[:, None, None]
        return lambda colors: colors + shift
class TestWarm(ColorMatchContract):
    stage = Warm

class Over(Blend):
    "Plain mix."
    def blend(self, patch, plate, matte):
        return plate + (patch - plate) * matte
class TestOver(BlendContract):
    stage = Over

class Mean(Deflicker):
    "Mean of the window."
    window = Span(1, 1)
    def steady(self, window):
        return window.swapped.mean(dim=0)
class TestMean(DeflickerContract):
    stage = Mean

class Copy(Swapper):
    "The crop itself."
    Options = SwapperOptions
    def swap(self, faces, identity):
        return Swapped(faces.crops * 0.5, torch.ones_like(faces.crops[:, :1]))
class TestCopy(SwapperContract):
    stage = Copy

class Note(Stage):
    "Notes the window's size."
    window = Span(1, 0)
    def process(self, window):
        return window.frame.noted(str(len(window.frames)))
class TestNote(ProcessContract):
    stage = Note

class Boxes(Aligner):
    "Points of a box."
    Options = AlignerOptions
    def align(self, detections, cut):
        return [Landmarks(found.five, "five") for found in detections]
class TestBoxes(AlignerContract):
    stage = Boxes

class Middle(Detector):
    "One face in the middle."
    def image_size(self):
        return (64, 48)
    def detect(self, images, frames):
        return [[Detection((16, 8, 48, 40), 0.5)] for _ in frames]
class TestMiddle(DetectorContract):
    stage = Middle
"""

HEAD = GOOD.partition("class Good")[0]

BAD = {
    "MatteContract": {
        "test_it_gives_mattes": "return torch.full_like(faces.crops[:, :1], 1.5)",
        "test_flat_crops_give_sound_mattes": "return (crop / crop.amax((1, 2, 3), True))[:, :1].clamp(0, 1)",
        "test_faces_do_not_depend_on_one_another": "return ones * crop.mean().clamp(0, 1)",
        "test_it_leaves_its_input_alone": "return faces.crops.clamp_(0, 1)[:, :1]",
        "test_it_gives_the_same_bits_again": "return torch.rand_like(faces.crops[:, :1])",
        "test_it_works_before_there_is_a_swapped_face": "return faces.mattes * 0.5",
        "test_faces_outside_the_crop_give_sound_mattes": "return ones * max(0, 0.01 * points.max() - 0.5)",
    },
    "ColorMatchContract": {
        "test_its_map_keeps_the_form": "return lambda colors: colors.reshape(-1, 3, *colors.shape[-2:])",
        "test_highlights_are_not_clipped": "return lambda colors: colors.clamp(0, 1)",
        "test_its_map_treats_crops_one_by_one": "return lambda colors: colors - colors.mean()",
        "test_degenerate_crops_give_finite_colors": "return lambda colors: colors * plate.std() / swapped.std()",
        "test_it_leaves_its_input_alone": "return lambda colors: colors.mul_(0.9)",
    },
    "BlendContract": {
        "test_equal_pictures_stay": "return (plate + (patch - plate) * matte).clamp(0, 1)",
        "test_the_patch_is_seen": "return plate.clone()",
        "test_it_takes_boxes_of_any_size": "return plate + (patch - plate)[..., :41] * matte",
        "test_it_leaves_its_input_alone": "return plate.add_((patch - plate) * matte)",
        "test_degenerate_mattes_give_finite_pictures": "return plate + (patch - plate) * matte / matte.amax()",
    },
    "DeflickerContract": {
        "test_it_gives_one_face": "return window.swapped",
        "test_shots_have_ends": "return window.swapped[0] * 0.5 + window.swapped[2] * 0.5",
        "test_what_stands_still_stays": "return window.swapped.sum(dim=0)",
    },
    "SwapperContract": {
        "test_it_gives_faces_and_mattes": "return Swapped(crop.half(), ones)",
        "test_faces_do_not_depend_on_one_another": "return Swapped(crop.flip(0), ones)",
        "test_flat_crops_give_finite_faces": "return Swapped(crop / crop.std(), ones)",
    },
    "ProcessContract": {
        "test_it_gives_its_frame": "return window.frames[0]",
        "test_frames_without_faces_pass": "return window.frame.with_faces([window.frame.faces[0]])",
        "test_it_leaves_its_input_alone": "window.frame.plate.planes[0][:] = 0; return window.frame",
    },
    "AlignerContract": {
        "test_landmarks_are_sound": "return [found.five for found in detections]",
        "test_landmarks_depend_on_each_face_alone": "return [Landmarks(f.five + many, 'five') for f in detections]",
        "test_no_faces_give_no_landmarks": "return [Landmarks(detections[0].five, 'five') for _ in range(many or 1)]",
    },
    "DetectorContract": {
        "test_detections_are_sound": "return [[Detection((9, 9, 9, 9), 0.5)] for _ in frames]",
        "test_detections_depend_on_each_picture_alone": "return [[Detection((0, 0, 9, 9 + many), 1)] for _ in frames]",
        "test_flat_pictures_show_no_harm": "return [[Detection((0, 0, 9, 9), 0.5)] for image in images if image.any()]",
    },
}
FACES = "crop, ones, points = faces.crops, torch.ones_like(faces.crops[:, :1]), faces.landmarks[0].points"
METHODS = {
    "MatteContract": ("Matte", "MatteOptions", "matte(self, faces)", FACES),
    "ColorMatchContract": ("ColorMatch", "ColorMatchOptions", "fit(self, swapped, plate, matte)", "pass"),
    "BlendContract": ("Blend", "StageOptions", "blend(self, patch, plate, matte)", "pass"),
    "DeflickerContract": ("Deflicker", "StageOptions", "steady(self, window)", "pass"),
    "SwapperContract": ("Swapper", "SwapperOptions", "swap(self, faces, identity)", FACES),
    "ProcessContract": ("Stage", "StageOptions", "process(self, window)", "pass"),
    "AlignerContract": ("Aligner", "AlignerOptions", "align(self, detections, cut)", "many = len(detections)"),
    "DetectorContract": ("Detector", "StageOptions", "detect(self, images, frames)", "many = len(frames)"),
}
STAGE = """
class {name}(StageMixin, {kind}):
    "A bad stage."
    Options = {options}
    def {method}:
        {before}
        {body}
class Test{name}({suite}):
    stage = {name}
"""
MIXIN = """
class StageMixin:
    window = Span(1, 1)
    def image_size(self):
        return (64, 48)
"""
BAD_OPTIONS = """
class Undescribed(Good):
    "A matte."
    class Options(MatteOptions):
        value: float = 0.5
class TestUndescribed(MatteContract):
    stage = Undescribed

class Lax(Good):
    "A matte."
    class Options(Good.Options):
        model_config = {"extra": "ignore"}
class TestLax(MatteContract):
    stage = Lax

class Wrong(Good):
    "A matte."
    class Options(StageOptions):
        value: float = Field(0.5, description="Of the matte.")
class TestWrong(MatteContract):
    stage = Wrong

class Endless(Good):
    "A matte."
    count = 0
    @property
    def window(self):
        Endless.count += 1
        return Span(Endless.count, 0)
class TestEndless(MatteContract):
    stage = Endless
"""


def bad_stages() -> dict[tuple[str, str], str]:
    """Code of one bad stage for each test that must find it, by its suite's class and that test."""
    made = {}
    for suite, bodies in BAD.items():
        kind, options, method, before = METHODS[suite]
        for test, body in bodies.items():
            name = f"{kind}_{test}"
            made[f"Test{name}", test] = STAGE.format(
                name=name, kind=kind, options=options, method=method, before=before, body=body, suite=suite
            )
    return made


def failures(result: pytest.RunResult) -> set[tuple[str, str]]:
    """`(class, test)` of what failed, parameters apart."""
    found = [line.split("::") for line in result.outlines if line.startswith("FAILED")]
    return {(parts[1], parts[2].split(" ")[0].split("[")[0]) for parts in found}


def run(pytester: pytest.Pytester, code: str, *, only: Iterable[tuple[str, str]] = ()) -> pytest.RunResult:
    """Runs a test file, or some of its tests."""
    file = pytester.makepyfile(code)
    nodes = [f"{file.name}::{suite}::{test}" for suite, test in only] or [file.name]
    return pytester.runpytest_inprocess("-q", "-rf", "-p", "no:cacheprovider", *nodes)


def test_good_stages_pass(pytester: pytest.Pytester) -> None:
    result = run(pytester, GOOD)
    assert result.ret == 0, failures(result)
    assert result.parseoutcomes()["passed"] > 100


def test_each_way_to_be_bad_is_found(pytester: pytest.Pytester) -> None:
    bad = bad_stages()
    result = run(pytester, "\n".join([HEAD, MIXIN, *bad.values()]), only=bad)
    assert failures(result) == set(bad), result.outlines[-40:]


def test_bad_options_and_windows_are_found(pytester: pytest.Pytester) -> None:
    bad = {
        ("TestUndescribed", "test_every_option_is_described"),
        ("TestLax", "test_an_unknown_option_is_refused"),
        ("TestWrong", "test_options_derive_from_those_of_the_kind"),
        ("TestEndless", "test_its_window_is_finite_and_fixed"),
    }
    assert failures(run(pytester, GOOD + BAD_OPTIONS, only=sorted(bad))) == bad


def test_there_is_a_suite_for_every_kind() -> None:
    assert set(CONTRACTS) == set(KINDS)


def test_the_mesh_lies_on_the_template() -> None:
    landmarks = face_landmarks(np.array([[512.0, 0, 0], [0, 512.0, 0]]))
    assert landmarks.points.shape == (SCHEME_SIZES["mesh468"], 3)
    assert np.allclose(landmarks.five(), TEMPLATES["ffhq_512"] * 512, atol=2.0)
    assert len(np.unique(landmarks.points[:, :2].round(6), axis=0)) == SCHEME_SIZES["mesh468"]


def test_the_mesh_is_ordered_as_a_face_is() -> None:
    landmarks = face_landmarks(np.array([[100.0, 0, 0], [0, 100.0, 0]]), mouth_open=1.0)
    x, y = landmarks.points[:, 0], landmarks.points[:, 1]
    assert y[10] < y[105] < y[159] < y[145] < y[1] < y[13] < y[14] < y[152]  # forehead to chin
    assert x[234] < x[33] < x[133] < x[362] < x[263] < x[454]  # ear to ear
    nearest = landmarks.points[landmarks.points[:, 2].argmin()]
    assert np.linalg.norm((nearest - landmarks.points[4])[:2]) < 3  # that is the nose


def test_material_is_the_same_for_any_count() -> None:
    three, five = face_batch(3), face_batch(5)
    assert torch.equal(faces_of(five, [0, 1, 2]).crops, three.crops)
    assert faces_of(five, [1, 4]).frames == (1002, 1005)
    assert torch.equal(synthetic_plate(7).image, synthetic_plate(7).image)
    assert not torch.equal(synthetic_plate(7).image, synthetic_plate(8).image)


def test_material_leaves_the_display_range() -> None:
    crops = face_batch(2).crops
    assert float(crops.max()) > 1.1
    assert float(synthetic_plate().image.min()) < 0


def test_crops_follow_the_spec() -> None:
    faces = face_batch(2, crop=CropSpec("arcface_112_v2", size_px=112))
    for landmarks in faces.landmarks:
        assert np.allclose(landmarks.five(), TEMPLATES["arcface_112_v2"] * 112, atol=4)
    window = face_window(3, size_px=64)
    assert (window.center, tuple(window.swapped.shape)) == (1, (3, 3, 64, 64))


@pytest.mark.parametrize("layout", [YUV420P8, YUV422P10, RGB_FLOAT])
def test_frames_are_stored_as_their_layout_says(layout: object) -> None:
    frame = synthetic_frame(layout=layout, width=64, height=48)  # type: ignore[arg-type]
    planes = frame.plate.planes
    step_x, step_y = (1 << log2 for log2 in frame.plate.layout.chroma_log2)
    assert [plane.shape for plane in planes[1:]] == [(48 // step_y, 64 // step_x)] * 2
    if not frame.plate.layout.is_float:
        middle = 128 << (frame.plate.layout.bits - 8)
        assert int(planes[0][0, 0]) < 16 << (frame.plate.layout.bits - 8)  # the corner is blacker than black
        assert int(planes[1][0, 0]) == middle


def test_the_identity_has_stills_with_points(tmp_path: Path) -> None:
    identity = synthetic_identity(folder=tmp_path, stills=3)
    assert [portrait.path for portrait in identity.portraits] == list(identity.stills)
    assert len({portrait.image.sum().item() for portrait in identity.portraits}) == 3


def test_checks_say_what_was_found() -> None:
    like = torch.zeros(2, 3, 8, 8)
    check_matte(torch.ones(2, 1, 8, 8), like=like)
    with pytest.raises(ShapeError, match=r"must be 0..1, got .* 0..2"):
        check_matte(torch.linspace(0, 2, 128).reshape(2, 1, 8, 8), like=like)
    for wrong in (like[:1], like.double(), like[..., :7], torch.full_like(like, torch.nan)):
        with pytest.raises(ShapeError):
            check_tensor(wrong, like=like, channels=3)
