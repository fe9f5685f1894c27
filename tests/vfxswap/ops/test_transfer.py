"""Transfer functions: published values, exact return, and the decisions that the module states."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from vfxswap.color import SPACES, ColorTags, Matrix, Primaries, Transfer
from vfxswap.errors import ColorError, ShapeError
from vfxswap.ops.transfer import (
    eotf,
    from_face,
    inverse_eotf,
    inverse_oetf,
    matrixed,
    oetf,
    primaries_matrix,
    to_face,
)

CURVES = [t for t in Transfer if t is not Transfer.UNSPECIFIED]
_SDR = {Transfer.BT709, Transfer.SMPTE170M, Transfer.BT2020_10, Transfer.BT2020_12, Transfer.SRGB}


def cube(low: float, high: float, steps: int = 24) -> Tensor:
    """`(3, steps, steps**2)` all colours of a grid."""
    axis = torch.linspace(low, high, steps)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).reshape(3, steps, -1)


def grey(value: float) -> Tensor:
    return torch.full((3, 1, 1), value)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_there_and_back_is_exact_to_1e4_over_the_legal_range(name: str) -> None:
    tags = SPACES[name]
    low, high = (0.0, 1.0) if tags.transfer in (Transfer.PQ, Transfer.HLG) else (-0.07, 1.09)
    colors = cube(low, high)
    light = eotf(colors, tags.transfer, tags.primaries).abs()
    moderate = light.amin(dim=0) > 1e-3 * light.amax(dim=0)
    error = (from_face(to_face(colors, tags), tags) - colors).abs().amax(dim=0)
    assert moderate.float().mean() > 0.5
    assert error[moderate].max() < 1e-4
    assert error.max() < 2e-2


@pytest.mark.parametrize("name", ["bt709", "srgb"])
def test_common_sdr_is_not_touched(name: str) -> None:
    colors = cube(-0.5, 1.5, 8)
    assert to_face(colors, SPACES[name]) is colors
    assert from_face(colors, SPACES[name]) is colors


@pytest.mark.parametrize("name", sorted(name for name, tags in SPACES.items() if tags.transfer in _SDR))
def test_greys_of_sdr_keep_their_codes(name: str) -> None:
    greys = torch.linspace(-0.1, 1.1, 101).expand(3, 1, 101)
    assert torch.allclose(to_face(greys, SPACES[name]), greys, atol=1e-6)


@pytest.mark.parametrize(("name", "code"), [("hlg", 0.75), ("pq", 0.58069)])
def test_hdr_reference_white_becomes_one(name: str, code: float) -> None:
    # BT.2408-7 table 1: 203 cd/m2 is 75 % HLG and 58 % PQ
    assert to_face(grey(code), SPACES[name]).mean().item() == pytest.approx(1.0, abs=1e-3)


def test_hdr_highlights_stay_above_one_and_in_order() -> None:
    codes = torch.linspace(0.6, 1.0, 50).expand(3, 1, 50)
    face = to_face(codes, SPACES["pq"])[0, 0]
    assert face[-1] > 4
    assert (face.diff() > 0).all()


@pytest.mark.parametrize(("code", "nits"), [(0.0, 0.0), (0.508078, 100.0), (0.751827, 1000.0), (1.0, 10000.0)])
def test_pq_has_the_values_of_st_2084(code: float, nits: float) -> None:
    light = eotf(grey(code), Transfer.PQ)[0].item() * 203
    assert light == pytest.approx(nits, rel=6e-3, abs=1e-4)


@pytest.mark.parametrize(("scene", "code"), [(0.0, 0.0), (1 / 12, 0.5), (1.0, 1.0), (0.26496, 0.75)])
def test_hlg_has_the_values_of_bt2100(scene: float, code: float) -> None:
    assert oetf(grey(scene), Transfer.HLG)[0].item() == pytest.approx(code, abs=1e-5)
    assert inverse_oetf(grey(code), Transfer.HLG)[0].item() == pytest.approx(scene, abs=1e-5)


def test_hlg_peak_is_a_thousand_nits() -> None:
    assert eotf(grey(1.0), Transfer.HLG).mean().item() * 203 == pytest.approx(1000, rel=1e-4)


def test_bt709_camera_curve_has_the_values_of_the_standard() -> None:
    light = torch.tensor([0.0, 0.018, 0.18, 1.0])
    expected = torch.tensor([0.0, 0.081, 1.099 * 0.18**0.45 - 0.099, 1.0])
    assert torch.allclose(oetf(light, Transfer.BT709), expected, atol=5e-4)


def test_srgb_has_the_values_of_iec_61966() -> None:
    code = torch.tensor([0.04045, 0.5, 1.0])
    assert torch.allclose(eotf(code, Transfer.SRGB), torch.tensor([0.0031308, 0.2140411, 1.0]), atol=1e-6)


@pytest.mark.parametrize("transfer", CURVES)
def test_curves_are_odd_and_undone(transfer: Transfer) -> None:
    codes = torch.linspace(0.01, 1.0, 64).expand(3, 1, 64)
    light = eotf(codes, transfer)
    assert torch.equal(eotf(-codes, transfer), -light)
    assert torch.allclose(inverse_eotf(light, transfer), codes, atol=2e-5)
    if transfer is not Transfer.PQ:
        assert torch.allclose(oetf(inverse_oetf(-codes, transfer), transfer), -codes, atol=1e-5)


def test_bt2020_to_bt709_is_the_matrix_of_bt2087() -> None:
    expected = torch.tensor([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    assert torch.allclose(primaries_matrix(Primaries.BT2020, Primaries.BT709).float(), expected, atol=1e-4)


ACES = {
    "AP1 to BT.709": ((1.70505, -0.62179, -0.08326), (-0.13026, 1.14080, -0.01055), (-0.02400, -0.12897, 1.15297)),
    "AP0 to BT.709": ((2.52169, -1.13413, -0.38756), (-0.27648, 1.37272, -0.09624), (-0.01538, -0.15298, 1.16835)),
    "AP0 to AP1": (
        (1.45143932, -0.23651075, -0.21492857),
        (-0.07655377, 1.1762297, -0.09967593),
        (0.00831615, -0.00603245, 0.9977163),
    ),
}
"""As the ACES configurations of OpenColorIO and Academy S-2014-004 print them."""


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("AP1 to BT.709", Primaries.AP1, Primaries.BT709),
        ("AP0 to BT.709", Primaries.AP0, Primaries.BT709),
        ("AP0 to AP1", Primaries.AP0, Primaries.AP1),
    ],
)
def test_aces_primaries_have_the_published_matrices(name: str, source: Primaries, target: Primaries) -> None:
    expected = torch.tensor(ACES[name], dtype=torch.float64)
    assert torch.allclose(primaries_matrix(source, target), expected, atol=6e-6)


@pytest.mark.parametrize("name", sorted(name for name, tags in SPACES.items() if tags.transfer is Transfer.LINEAR))
def test_scene_light_far_over_white_and_under_black_survives(name: str) -> None:
    tags = SPACES[name]
    levels = torch.tensor([-4.0, -0.01, 0.0, 1e-4, 0.18, 1.0, 3.7, 40.0, 64.0, 5000.0])
    light = torch.stack(torch.meshgrid(levels, levels, torch.tensor([0.02, 30.0]), indexing="ij")).reshape(3, 1, -1)
    face = to_face(light, tags)
    assert torch.isfinite(face).all()
    assert face.max() > 5
    assert face.min() < -1
    error = (from_face(face, tags) - light).abs().amax(dim=0) / light.abs().amax(dim=0)
    assert error.max() < 1e-5
    white = to_face(torch.ones(3, 1, 1), tags)
    assert torch.allclose(white, torch.ones(3, 1, 1), atol=1e-5)


@pytest.mark.parametrize("source", [p for p in Primaries if p is not Primaries.UNSPECIFIED])
def test_primaries_keep_white_and_are_undone(source: Primaries) -> None:
    there, back = primaries_matrix(source, Primaries.P3_D65), primaries_matrix(Primaries.P3_D65, source)
    assert torch.allclose(there.sum(dim=1), torch.ones(3, dtype=torch.float64))
    assert torch.allclose(back @ there, torch.eye(3, dtype=torch.float64), atol=1e-12)


def test_a_wide_gamut_red_leaves_the_face_gamut_without_being_clipped() -> None:
    red = torch.tensor([0.9, 0.1, 0.1]).reshape(3, 1, 1)
    face = to_face(red, SPACES["p3-d65"])
    assert face[0] > 0.9
    assert face[1:].min() < 0.1


def test_matrixed_multiplies_columns() -> None:
    matrix = torch.arange(9.0).reshape(3, 3)
    color = torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(matrixed(color.reshape(1, 3, 1, 1), matrix).flatten(), matrix @ color)


@pytest.mark.parametrize("name", ["hlg", "pq", "p3-d65"])
def test_bits_do_not_depend_on_stacking_or_threads(name: str, two_threads: None) -> None:
    faces = torch.rand(5, 3, 67, 61, generator=torch.Generator().manual_seed(1))
    torch.set_num_threads(1)
    single = torch.stack([from_face(to_face(face, SPACES[name]), SPACES[name]) for face in faces])
    torch.set_num_threads(2)
    assert torch.equal(from_face(to_face(faces, SPACES[name]), SPACES[name]), single)


def test_unknown_colour_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ColorError, match="color_space"):
        to_face(cube(0, 1, 2), ColorTags(Primaries.BT709, Transfer.UNSPECIFIED, Matrix.BT709))
    with pytest.raises(ColorError, match="primaries"):
        from_face(cube(0, 1, 2), ColorTags(Primaries.UNSPECIFIED, Transfer.BT709, Matrix.BT709))
    with pytest.raises(ColorError, match="PQ"):
        oetf(cube(0, 1, 2), Transfer.PQ)
    with pytest.raises(ShapeError, match="3, H, W"):
        to_face(torch.zeros(1, 4, 4), SPACES["hlg"])
