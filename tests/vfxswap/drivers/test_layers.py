"""What layers promise: they rebuild the picture, whatever blend made it, and lie where compositors look for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap import cryptomatte
from vfxswap.color import SPACES, Matrix, PixelLayout, Range
from vfxswap.crops import View, cut_crop
from vfxswap.drivers import Shot
from vfxswap.drivers.base import Around
from vfxswap.drivers.layers import KeepUnmatched, MakeLayers
from vfxswap.drivers.pasting import BlendDriver
from vfxswap.frame import Batch, Detection, Face, Frame, Layer, Picture
from vfxswap.geometry import Affine, Box
from vfxswap.layers import LAYERS, LayerOrder
from vfxswap.ops import blend, ycbcr
from vfxswap.stage import Blend, StageOptions
from vfxswap.testing import RGB_FLOAT, YUV420P8, YUV422P10, setting, synthetic_frame, synthetic_plate

WIDTH, HEIGHT, SIDE = 160, 128, 96
HALF = PixelLayout("rgb half", "rgb", 16, is_float=True)
GRAY = PixelLayout("gray half", "gray", 16, is_float=True)
RGB8 = PixelLayout("rgb24", "rgb", 8)
ORDER = LayerOrder(tuple(LAYERS), "files", ("hero", "friend"))
CPU = torch.device("cpu")


class Joined(Blend[StageOptions]):
    """A blend by any function."""

    def __init__(self, how: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__(StageOptions(), setting())
        self._how = how

    def blend(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        return self._how(patch, plate, matte)


BLENDS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "alpha": blend.alpha,
    "pyramid": blend.pyramid,
    "poisson": blend.poisson,
}


def plate_of(layout: PixelLayout, *, gain: float = 1.0) -> Picture:
    """A drawn face; as half, scene-linear in ACEScg, a shadow below 0 and a kick far beyond white."""
    if layout is GRAY:
        colored = plate_of(HALF)
        return Picture(colored.planes[1:2], GRAY, colored.tags)
    if layout is not HALF:
        return synthetic_frame(layout=layout, width=WIDTH, height=HEIGHT).plate
    space = SPACES["ACEScg"]
    light = np.maximum(synthetic_plate(1001, width=WIDTH, height=HEIGHT).image.numpy(), 0) ** 2.2 * gain
    light[:, 60:64, 70:74] = 40.0
    light[2, 70:74, 70:74] = -0.02
    return Picture(list(light.astype(np.float16)), HALF, replace(space, matrix=Matrix.RGB, range=Range.FULL))


def view_of(picture: Picture, rotation: int = 0) -> View:
    return View(picture.tags, rotation, CPU)


def place(x: float, y: float, *, turn: float = 0.1, scale: float = 1.1) -> Affine:
    """From the plate to a square that is turned a little, its corner near `(x, y)`."""
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([linear, -linear @ np.array([x, y])])


def face_of(picture: Picture, matrix: Affine, name: str, *, rotation: int = 0, gain: float = 0.7) -> Face:
    """The plate's own square, darker and redder, under a soft round matte."""
    view = view_of(picture, rotation)
    crop = cut_crop(picture, view, matrix, SIDE)
    across = torch.linspace(-1, 1, SIDE)
    matte = (2.0 - 2 * torch.sqrt(across[None] ** 2 + across[:, None] ** 2)).clamp(0, 1)[None]
    swapped = crop * gain + torch.tensor([0.1, 0.0, -0.02])[:, None, None]
    return Face(Detection((0, 0, 9, 9), 1.0), None, matrix, SIDE, name, crop, swapped, matte)


def made(
    picture: Picture, faces: Sequence[Face], *, how: str = "alpha", rotation: int = 0, order: LayerOrder = ORDER
) -> Frame:
    """A frame as it leaves the line: kept, blended, with its layers."""
    view = view_of(picture, rotation)
    frame = Frame(1001, picture, faces=tuple(faces))
    for step in (KeepUnmatched(), BlendDriver(Joined(BLENDS[how]), Shot(view, 1001, 1001)), MakeLayers(order, view)):
        (frame,) = step.frames(Around((), Batch((frame,)), (), (1001,)))
    return frame


def whole(frame: Frame, name: str) -> NDArray[np.float32]:
    layer = frame.layers[name]
    count = len(layer.samples)
    return np.stack([layer.plane(i, frame.plate.width, frame.plate.height) for i in range(count)])


def colors(picture: Picture) -> NDArray[np.float64]:
    """R'G'B' of a whole picture, by its stored samples."""
    if picture.layout.is_float:
        planes = picture.planes[:1] * 3 if picture.layout.model == "gray" else picture.planes[:3]
        return np.stack(planes).astype(np.float64)
    box = Box(0, 0, picture.width, picture.height)
    return ycbcr.to_rgb(picture.planes, picture.layout, picture.tags, box, device=CPU).numpy().astype(np.float64)


def rebuilt(frame: Frame) -> NDArray[np.float64]:
    """As a compositor does it: plate x (1 - matte) + patch."""
    matte, patch = (whole(frame, name).astype(np.float64) for name in ("matte", "patch"))
    found: NDArray[np.float64] = colors(frame.plate) * (1 - matte) + patch[:3]
    return found


@pytest.mark.parametrize("how", BLENDS)
@pytest.mark.parametrize("layout", [HALF, GRAY, RGB_FLOAT, RGB8, YUV420P8, YUV422P10], ids=lambda layout: layout.name)
def test_plate_and_patch_rebuild_the_result(layout: PixelLayout, how: str) -> None:
    picture = plate_of(layout)
    frame = made(picture, [face_of(picture, place(20, 12), "hero"), face_of(picture, place(62, 30), "friend")], how=how)
    wanted, found = colors(frame.picture), rebuilt(frame)
    assert np.abs(wanted - colors(picture)).max() > 0.05
    # a half keeps 11 bits: the patch is rounded to 2^-12 of itself, at most of the brightest that it is made of
    steps = 2.0**-11 if layout is not RGB_FLOAT else 2.0**-22
    assert (np.abs(found - wanted) <= steps * np.maximum(np.abs(colors(picture)), 1.0)).all()
    patch, matte = whole(frame, "patch"), whole(frame, "matte")
    np.testing.assert_array_equal(patch[3], matte[0])
    assert 0 <= matte.min() < matte.max() <= 1


def test_where_each_pixel_is_mixed_for_itself_the_patch_is_the_face_times_the_matte() -> None:
    picture = plate_of(RGB_FLOAT)
    face = face_of(picture, np.array([[1.0, 0.0, -30.0], [0.0, 1.0, -14.0]]), "hero")  # whole pixels
    frame = made(picture, [face])
    window = np.s_[:, 14 : 14 + SIDE, 30 : 30 + SIDE]
    assert face.swapped is not None
    assert face.matte is not None
    np.testing.assert_allclose(whole(frame, "matte")[window], face.matte, atol=1e-6)
    np.testing.assert_allclose(whole(frame, "patch")[:3][window], face.swapped * face.matte, atol=2e-6)


def test_outside_the_matte_the_patch_of_full_chroma_is_nothing() -> None:
    picture = plate_of(HALF)
    frame = made(picture, [face_of(picture, place(30, 12), "hero")], how="pyramid")
    assert not whole(frame, "patch")[:, whole(frame, "matte")[0] == 0].any()


def test_layers_hold_no_more_than_what_is_around_the_faces() -> None:
    picture = plate_of(HALF)
    frame = made(picture, [face_of(picture, place(60, 30, scale=3.0), "hero")])
    for name, layer in frame.layers.items():
        assert 0 < layer.box.width * layer.box.height < 0.25 * WIDTH * HEIGHT, name
        assert layer.samples.shape == (len(ORDER.channels(name)), layer.box.height, layer.box.width)  # type: ignore[arg-type]
        assert layer.samples.dtype == np.float32


def test_a_frame_without_a_face_has_blank_layers() -> None:
    frame = made(plate_of(HALF), [])
    assert list(frame.layers) == list(LAYERS)
    for name in LAYERS:
        blank = whole(frame, name)
        assert blank.shape == (len(ORDER.channels(name)), HEIGHT, WIDTH)
        assert not blank.any()


def test_frames_that_are_not_written_get_no_layers() -> None:
    picture = plate_of(HALF)
    frame = Frame(
        1001, picture, faces=(replace(face_of(picture, place(20, 12), "hero"), pasted=(torch.ones(1, 9, 9),)),)
    )
    (left,) = MakeLayers(ORDER, view_of(picture)).frames(Around((), Batch((frame,)), (), (1002,)))
    assert not left.layers


def test_a_face_whose_matte_is_empty_is_in_no_layer() -> None:
    picture = plate_of(HALF)
    face = face_of(picture, place(20, 12), "hero")
    assert face.matte is not None
    frame = made(picture, [replace(face, matte=torch.zeros_like(face.matte))])
    assert not any(whole(frame, name).any() for name in LAYERS)


@pytest.mark.parametrize("bits", [0x7C00, 0xFC00, 0x7E01], ids=["inf", "-inf", "nan"])
def test_what_is_no_number_is_rebuilt_too(bits: int) -> None:
    picture = plate_of(HALF)
    picture.planes[0].view(np.uint16)[64, 80] = bits
    frame = made(picture, [face_of(picture, place(30, 12), "hero")])
    for name in LAYERS:
        assert np.isfinite(whole(frame, name)).all()
    assert whole(frame, "matte")[0, 64, 80] == whole(frame, "id")[1, 64, 80] == 0
    wanted, found = colors(frame.picture)[:, 64, 80], rebuilt(frame)[:, 64, 80]
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_allclose(found[1:], wanted[1:], rtol=1e-3)


def test_the_st_map_leads_from_the_plate_into_the_square() -> None:
    """As Nuke's STMap reads it: the value (x + 0.5) / width is the centre of column x, rows count from below."""
    picture = plate_of(HALF)
    matrix = place(30, 12)
    st = whole(made(picture, [face_of(picture, matrix, "hero")]), "st").astype(np.float64)
    s, t, unused, valid = st
    assert not unused.any()
    assert set(np.unique(valid)) == {0, 1}
    assert not s[valid == 0].any()
    y, x = np.nonzero(valid)
    crop = matrix @ np.stack([x + 0.5, y + 0.5, np.ones(len(x))])
    np.testing.assert_allclose(s[y, x] * SIDE, crop[0], atol=1e-4)
    np.testing.assert_allclose((1 - t[y, x]) * SIDE, crop[1], atol=1e-4)
    # the square's area, in the plate's pixels
    assert valid.sum() == pytest.approx(SIDE**2 / 1.1**2, rel=0.01)


def test_a_picture_in_the_square_comes_onto_the_plate_through_the_st_map() -> None:
    """Sampled as STMap does, the plate's own square lands on the plate again."""
    picture = plate_of(RGB_FLOAT)
    face = face_of(picture, place(30, 12, scale=1.0), "hero")
    frame = made(picture, [face])
    st = torch.from_numpy(whole(frame, "st"))
    grid = torch.stack([st[0] * 2 - 1, (1 - st[1]) * 2 - 1], dim=-1)[None]
    assert face.crop is not None
    laid = torch.nn.functional.grid_sample(face.crop[None], grid, align_corners=False, padding_mode="border")[0]
    inner = (st[3] > 0).numpy() & (whole(frame, "matte")[0] > 0)
    assert np.abs(laid.numpy() - colors(picture))[:, inner].mean() < 0.01


def test_swapped_is_what_it_was_before_its_colours_were_matched() -> None:
    picture = plate_of(HALF)
    face = face_of(picture, np.array([[1.0, 0.0, -30.0], [0.0, 1.0, -14.0]]), "hero", gain=0.5)
    kept = KeepUnmatched().frames(Around((), Batch((Frame(1001, picture, faces=(face,)),)), (), (1001,)))[0].faces[0]
    assert kept.swapped is not None
    matched = replace(kept, swapped=kept.swapped * 2)
    frame = made(picture, [matched])
    found = whole(frame, "swapped")[:, 14 : 14 + SIDE, 30 : 30 + SIDE]
    assert (found[3] == 1).all()
    assert face.swapped is not None
    wanted = view_of(picture).space.from_face(face.swapped).numpy()
    np.testing.assert_allclose(found[:3], wanted, rtol=1e-3, atol=1e-4)
    outside = whole(frame, "swapped").copy()
    outside[:, 14 : 14 + SIDE, 30 : 30 + SIDE] = 0
    assert not outside.any()


def test_the_cryptomatte_has_each_identitys_share_by_rank() -> None:
    picture = plate_of(HALF)
    first, second = face_of(picture, place(20, 12, scale=1.3), "hero"), face_of(picture, place(50, 30), "friend")
    frame = made(picture, [first, second])
    ids, shares = whole(frame, "id")[0::2], whole(frame, "id")[1::2]
    assert (shares[0] >= shares[1]).all()
    assert ((ids != 0) == (shares > 0)).all()
    names = {float(cryptomatte.id_of(name)): name for name in ORDER.identities}
    assert set(np.unique(ids)) == {0.0, *names}
    mattes = {name: (shares * (ids == value)).sum(axis=0) for value, name in names.items()}
    both = (mattes["hero"] > 0.1) & (mattes["friend"] > 0.1)
    assert both.any()
    # the nearer, larger one covers the other
    alone = {name: whole(made(picture, [face]), "matte")[0] for name, face in (("hero", first), ("friend", second))}
    np.testing.assert_allclose(mattes["friend"], alone["friend"], atol=1e-3)
    np.testing.assert_allclose(mattes["hero"], alone["hero"] * (1 - alone["friend"]), atol=1e-3)
    np.testing.assert_allclose(shares.sum(axis=0), whole(frame, "matte")[0], atol=1e-3)


def test_a_face_that_is_nobodys_covers_others_and_has_no_id() -> None:
    picture = plate_of(HALF)
    nobody = replace(face_of(picture, place(50, 30), "friend"), identity=None)
    frame = made(picture, [face_of(picture, place(20, 12, scale=1.3), "hero"), nobody])
    ids, shares = whole(frame, "id")[0::2], whole(frame, "id")[1::2]
    assert set(np.unique(ids)) == {0.0, float(cryptomatte.id_of("hero"))}
    assert 0 < shares.sum() < whole(frame, "matte").sum()
    alone = made(picture, [nobody], order=LayerOrder(("id",), "files", ()))
    assert whole(alone, "id").shape[0] == 4
    assert not whole(alone, "id").any()


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_layers_lie_in_the_picture_as_it_is_stored(rotation: int) -> None:
    picture = plate_of(HALF)
    frame = made(picture, [face_of(picture, place(20, 12), "hero", rotation=rotation)], rotation=rotation)
    for name in LAYERS:
        assert whole(frame, name).shape[1:] == (HEIGHT, WIDTH)
    changed = (np.stack(frame.picture.planes) != np.stack(picture.planes)).any(axis=0)
    matte = whole(frame, "matte")[0]
    assert changed.sum() > 1000
    assert (matte[changed] > 0).all()
    assert (changed[matte > 0.01]).mean() > 0.95


def test_two_blends_count_both() -> None:
    picture = plate_of(HALF)
    view = view_of(picture)
    driver = BlendDriver(Joined(blend.alpha), Shot(view, 1001, 1001))
    frame = Frame(1001, picture, faces=(face_of(picture, place(30, 12), "hero"),))
    for _ in range(2):
        (frame,) = driver.frames(Around((), Batch((frame,)), (), (1001,)))
    order = LayerOrder(("matte", "patch"))
    (frame,) = MakeLayers(order, view).frames(Around((), Batch((frame,)), (), (1001,)))
    np.testing.assert_allclose(rebuilt(frame), colors(frame.picture), rtol=1e-3, atol=1e-3)
    once = whole(made(picture, frame.faces[:1]), "matte")
    assert whole(frame, "matte").sum() > 1.05 * soft_area(frame.faces[0])
    assert once.max() <= 1


def soft_area(face: Face) -> float:
    """Of its matte, in the plate's pixels."""
    assert face.matte is not None
    return float(face.matte.sum()) / 1.1**2


def test_a_layer_knows_its_place() -> None:
    layer = Layer(Box(2, 1, 4, 3), np.arange(8, dtype=np.float32).reshape(2, 2, 2))
    plane = layer.plane(1, 5, 4)
    assert plane.shape == (4, 5)
    np.testing.assert_array_equal(plane[1:3, 2:4], [[4, 5], [6, 7]])
    assert plane.sum() == 4 + 5 + 6 + 7
