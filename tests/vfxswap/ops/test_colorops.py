"""Transforms in torch, held to OpenColorIO's own lossless result over every colour space that it brings along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import PyOpenColorIO as Ocio
import pytest
import torch
from numpy.typing import NDArray

from vfxswap.color import ConfigSpace
from vfxswap.errors import ColorError, ShapeError
from vfxswap.ocio import FACE_SPACE, PINNED, check_way_back, config_of, face_space_of, transform
from vfxswap.ocio.steps import CurveStep, Step, Uncovered, steps_of
from vfxswap.ops.colorops import computed, transformed

BUILT_IN = [name for name, *_ in Ocio.BuiltinConfigRegistry().getBuiltinConfigs()]
TINTS = np.array([(1, 1, 1), (1, 0.7, 0.5), (1, 0.2, 0.05), (0.1, 0.3, 1)])


def lights() -> NDArray[np.float32]:
    """`(N, 3)` from a little below 0 to 64, of all tints."""
    levels = np.concatenate([-np.geomspace(1e-4, 1, 16), [0], np.geomspace(1e-5, 64, 90)])
    return np.asarray((levels[:, None, None] * TINTS).reshape(-1, 3), np.float32)


def codes() -> NDArray[np.float32]:
    """`(N, 3)`, also a little outside 0..1."""
    rng = np.random.default_rng(5)
    greys = np.repeat(np.linspace(-0.05, 1.1, 100)[:, None], 3, axis=1)
    return np.concatenate([rng.uniform(-0.05, 1.1, (400, 3)), greys]).astype(np.float32)


def by_torch(steps: Sequence[Step], colours: NDArray[np.float32]) -> NDArray[np.float32]:
    planes = torch.from_numpy(np.ascontiguousarray(colours.T))[:, :, None]
    result: NDArray[np.float32] = computed(steps, planes)[:, :, 0].numpy().T
    return result


def by_ocio(processor: Ocio.Processor, colours: NDArray[np.float32]) -> NDArray[np.float32]:
    result = np.ascontiguousarray(colours).copy()
    processor.getOptimizedCPUProcessor(Ocio.OPTIMIZATION_LOSSLESS).applyRGB(result)
    return result


def pairs(config: Ocio.Config) -> Iterator[tuple[str, str]]:
    for space in config.getColorSpaces(Ocio.SEARCH_REFERENCE_SPACE_ALL, Ocio.COLORSPACE_ALL):
        if not space.isData():
            yield space.getName(), FACE_SPACE
            yield FACE_SPACE, space.getName()


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_space_of_every_built_in_configuration(name: str) -> None:
    config = config_of(f"ocio://{name}").library
    colours = np.concatenate([lights(), codes()])
    seen = 0
    for source, target in pairs(config):
        processor = config.getProcessor(source, target)
        expected = by_ocio(processor, colours)
        found = by_torch(steps_of(processor), colours)
        scale = np.maximum(np.abs(expected).max(axis=1, keepdims=True), 1)  # float32 is relative to the brightest
        finite = np.isfinite(expected).all(axis=1) & (np.abs(expected).max(axis=1) < 1e30)
        assert finite.mean() > 0.8
        error = np.abs(found[finite] - expected[finite]) / scale[finite]
        assert error.max() < 1e-4, f"{source} to {target}"
        seen += 1
    assert seen >= 38


@pytest.mark.parametrize("name", BUILT_IN)
def test_there_is_a_way_back_from_all_of_them(name: str) -> None:
    config = config_of(f"ocio://{name}")
    face = face_space_of(config)
    for space in config.names():
        check_way_back(config.space(space), face)


@pytest.mark.parametrize(
    ("space", "most"),
    [("ACEScg", 1e-5), ("ACES2065-1", 1e-5), ("Linear ARRI Wide Gamut 4", 2e-5), ("Linear Rec.2020", 1e-5)],
)
def test_light_up_to_64_comes_back(space: str, most: float) -> None:
    config = config_of(PINNED)
    there = transform(config.space(space), face_space_of(config))
    back = transform(face_space_of(config), config.space(space))
    colours = lights()
    assert there.steps is not None
    assert back.steps is not None
    found = by_torch(back.steps, by_torch(there.steps, colours))
    error = np.abs(found - colours) / np.maximum(np.abs(colours).max(axis=1, keepdims=True), 1e-3)
    assert error.max() < most


@pytest.mark.parametrize(
    "space", ["ARRI LogC3 (EI800)", "ARRI LogC4", "S-Log3 S-Gamut3.Cine", "V-Log V-Gamut", "CanonLog3 CinemaGamut D55"]
)
def test_ten_bit_codes_of_cameras_come_back_to_a_tenth_of_a_code(space: str) -> None:
    config = config_of(PINNED)
    there = transform(config.space(space), face_space_of(config))
    back = transform(face_space_of(config), config.space(space))
    assert there.steps is not None
    assert back.steps is not None
    ramp = np.linspace(96, 940, 845) / 1023
    colours = np.concatenate([np.stack([ramp, ramp * a, ramp * b], -1) for a, b in ((1, 1), (0.93, 0.88))])
    found = by_torch(back.steps, by_torch(there.steps, colours.astype(np.float32)))
    assert np.abs(found - colours).max() * 1023 < 0.1


@pytest.mark.parametrize("space", ["ARRI LogC4", "ACEScg", "Rec.2100-HLG - Display", "Apple Log", "Gamma 2.2 Rec.709"])
def test_the_same_bits_in_any_batch_and_on_any_number_of_threads(space: str) -> None:
    config = config_of(PINNED)
    name = space if space != "Gamma 2.2 Rec.709" else "Gamma 2.2 Encoded Rec.709"
    both = [
        transform(config.space(name), face_space_of(config)),
        transform(face_space_of(config), config.space(name)),
    ]
    picture = torch.rand(3, 3, 61, 257, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.1
    threads = torch.get_num_threads()
    try:
        for each in both:
            torch.set_num_threads(1)
            whole = transformed(each, picture)
            torch.set_num_threads(3)
            assert torch.equal(transformed(each, picture), whole)
            assert torch.equal(transformed(each, picture[1, :, 7:8, 11:]), whole[1, :, 7:8, 11:])
            assert torch.equal(transformed(each, picture[2:, :, :, :5]), whole[2:, :, :, :5])
    finally:
        torch.set_num_threads(threads)


def grouped(*transforms: Ocio.Transform) -> Ocio.Processor:
    group = Ocio.GroupTransform()
    for each in transforms:
        group.appendTransform(each)
    return Ocio.Config.CreateRaw().getProcessor(group)


def lut(*, points: int, half: bool, falling: bool = False) -> Ocio.Lut1DTransform:
    made = Ocio.Lut1DTransform(points, half)
    for index in range(points):
        r, g, b = made.getValue(index)
        r, g, b = (0.1 + 0.6 * r, g * abs(g), b) if not half else (r, g, b * 0.5)
        made.setValue(index, *((1 - r, 1 - g, 1 - b) if falling else (r, g, b)))
    return made


SHAPES = {
    "clamped power": Ocio.ExponentTransform((2.0, 1.5, 0.5, 1), Ocio.NEGATIVE_CLAMP),
    "mirrored power": Ocio.ExponentTransform((2.2, 2.2, 1.8, 1), Ocio.NEGATIVE_MIRROR),
    "power, rest as it is": Ocio.ExponentTransform((2.2, 2.2, 1.8, 1), Ocio.NEGATIVE_PASS_THRU),
    "mirrored sRGB": Ocio.ExponentWithLinearTransform(
        (2.4, 2.2, 2.4, 1), (0.055, 0.099, 0.055, 0), Ocio.NEGATIVE_MIRROR
    ),
    "channels of a log": Ocio.LogAffineTransform((0.3, 0.2, 0.25), (0.5, 0.6, 0.4), (1, 2, 1), (0.1, 0.2, 0.15)),
    "camera's log": Ocio.LogCameraTransform((0.01, 0.02, 0.01), 10, (0.3, 0.2, 0.2), (0.4, 0.5, 0.4), (9, 9, 8)),
    "matrix": Ocio.MatrixTransform([1.2, 0.1, 0, 0, 0.2, 0.9, -0.3, 0, 0, 0.1, 1, 0, 0, 0, 0, 1], [0.1, 0, -0.2, 0]),
    "range": Ocio.RangeTransform(0.1, 0.8, 0.0, 1.2),
    "floor": Ocio.RangeTransform(minInValue=0.1, minOutValue=0.1),
    "ceiling": Ocio.RangeTransform(maxInValue=0.7, maxOutValue=0.7),
    "short curve": lut(points=33, half=False),
    "falling curve": lut(points=33, half=False, falling=True),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_forward", [True, False])
def test_each_operation_with_numbers_of_its_own(shape: str, is_forward: bool) -> None:
    made = SHAPES[shape]
    made.setDirection(Ocio.TRANSFORM_DIR_FORWARD if is_forward else Ocio.TRANSFORM_DIR_INVERSE)
    processor = grouped(made)
    colours = np.concatenate([codes(), np.clip(lights(), -1, 8)])
    expected, found = by_ocio(processor, colours), by_torch(steps_of(processor), colours)
    scale = np.maximum(np.abs(expected).max(axis=1, keepdims=True), 1)
    finite = np.isfinite(expected).all(axis=1)
    assert finite.mean() > 0.6
    assert (np.abs(found[finite] - expected[finite]) / scale[finite]).max() < 1e-4


def test_a_curve_by_hand() -> None:
    points = np.array([0, 1, 2], np.float32)
    step = CurveStep((points, points, points), (points * 2, points[::-1].copy(), np.array([5, 5, 7], np.float32)))
    colours = np.array([[-1, -1, -1], [0.25, 0.25, 0.25], [1.5, 1.5, 1.5], [9, 9, 9]], np.float32)
    expected = np.array([[0, 2, 5], [0.5, 1.75, 5], [3, 0.5, 6], [4, 0, 7]], np.float32)
    np.testing.assert_allclose(by_torch((step,), colours), expected)


LOOK = """ocio_profile_version: 2.1
name: studio
roles: {default: plain, aces_interchange: plain, scene_linear: plain}
file_rules:
  - !<Rule> {name: Default, colorspace: plain}
displays:
  screen:
    - !<View> {name: plain, colorspace: plain}
colorspaces:
  - !<ColorSpace> {name: plain}
  - !<ColorSpace>
    name: graded
    to_scene_reference: !<GradingPrimaryTransform> {style: linear, saturation: 0.8}
  - !<ColorSpace>
    name: printed
    encoding: sdr-video
    to_scene_reference: !<GroupTransform>
      children:
        - !<ExponentTransform> {value: 2.2}
        - !<RangeTransform> {min_in_value: 0, min_out_value: 0, max_in_value: 0.4, max_out_value: 0.4}
  - !<ColorSpace>
    name: table
    to_scene_reference: !<FileTransform> {src: missing.spi1d}
"""


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    path = tmp_path / "studio.ocio"
    path.write_text(LOOK)
    return path


def space(path: Path, name: str) -> ConfigSpace:
    return config_of(str(path)).space(name)


def test_what_torch_has_not_goes_through_ocio(studio: Path) -> None:
    face = face_space_of(config_of(str(studio)))
    assert face.config == PINNED, "this one has no such space of its own"
    graded = transform(space(studio, "graded"), face)
    assert graded.steps is None
    assert graded.uncovered.startswith("GradingPrimary")
    picture = torch.rand(2, 3, 9, 31, generator=torch.Generator().manual_seed(1))
    found = transformed(graded, picture)
    pixels = picture.movedim(1, -1).reshape(-1, 31, 3).numpy()
    assert np.array_equal(found.movedim(1, -1).reshape(-1, 31, 3).numpy(), graded.converter(pixels))
    assert torch.equal(transformed(graded, picture[1:, :, 3:4, 5:8]), found[1:, :, 3:4, 5:8])
    check_way_back(space(studio, "graded"), face)


def test_the_usual_face_space_is_had_without_one_in_the_configuration(studio: Path) -> None:
    face = face_space_of(config_of(str(studio)))
    found = transform(space(studio, "plain"), face)
    pinned = config_of(PINNED)
    expected = transform(pinned.space("ACES2065-1"), face_space_of(pinned))
    assert found.steps is not None
    assert expected.steps is not None
    np.testing.assert_allclose(by_torch(found.steps, lights()), by_torch(expected.steps, lights()), atol=1e-4)


def test_no_exact_way_back_is_refused(studio: Path) -> None:
    face = face_space_of(config_of(str(studio)))
    with pytest.raises(ColorError, match=r"no exact way back from .* to 'printed': \(.*\) comes back as \(.*\); state"):
        check_way_back(space(studio, "printed"), face)


def test_a_table_that_is_missing(studio: Path) -> None:
    with pytest.raises(ColorError, match=r"'table' of studio cannot be used: .*missing\.spi1d"):
        space(studio, "table")
    studio.write_text(LOOK.replace("name: table", "name: table\n    encoding: log"))
    with pytest.raises(ColorError, match=r"cannot bring table to .*missing\.spi1d"):
        transform(space(studio, "table"), face_space_of(config_of(str(studio))))


def test_stages_see_what_displays_show() -> None:
    config = config_of(PINNED)
    assert face_space_of(config, "sRGB Encoded P3-D65").name == "sRGB Encoded P3-D65"
    for wrong in ("ACEScct", "ACEScg", "Rec.2100-PQ - Display"):
        with pytest.raises(ColorError, match="stages must see pictures as a display shows them"):
            face_space_of(config, wrong)
    with pytest.raises(ColorError, match="nearest"):
        face_space_of(config, "sRGB Texture P3")


def test_other_operations_are_named() -> None:
    for made, words in (
        (Ocio.Lut3DTransform(3), "Lut3D"),
        (Ocio.MatrixTransform([1, 0, 0, 0.5, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]), "Matrix with alpha"),
    ):
        if isinstance(made, Ocio.Lut3DTransform):
            made.setValue(0, 0, 0, 0.2, 0.1, 0.3)
        with pytest.raises(Uncovered, match=words):
            steps_of(grouped(made))


def test_other_shapes_are_refused() -> None:
    config = config_of(PINNED)
    there = transform(config.space("ACEScg"), face_space_of(config))
    with pytest.raises(ShapeError):
        transformed(there, torch.zeros(4, 8, 8))
    assert transformed(there, torch.zeros(0, 3, 8, 8)).shape == (0, 3, 8, 8)
