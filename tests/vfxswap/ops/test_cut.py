"""Cuts, dissolves and fades: found in drawn and real footage; flashes, pans and light are none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.cut import (
    CUT_CHANGE,
    DISSOLVE_FRAMES,
    THUMBNAIL_SIZE,
    WINDOW_AHEAD,
    WINDOW_BEHIND,
    change,
    cut_before,
    cuts,
    is_cut,
    kind_before,
)


def scene(seed: int, width: int = 120) -> Tensor:
    """`(3, 36, width)` smooth coloured blobs."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, width // 8, generator=generator) * torch.rand(1, 3, 1, 1, generator=generator) * 2
    return F.interpolate(coarse, size=(36, width), mode="bicubic")[0].clamp(0, 1)


def pan(seed: int, frames: int, step_px: int = 1) -> list[Tensor]:
    """A camera that moves over a scene."""
    wide = scene(seed, 64 + frames * step_px + 8)
    return [wide[:, :, i * step_px : i * step_px + 64] for i in range(frames)]


def test_a_cut_between_two_scenes_is_found_at_its_frame() -> None:
    assert cuts([*pan(1, 8), *pan(2, 6), *pan(3, 9)]) == [8, 14]


def test_equal_pictures_have_no_change_and_strangers_much() -> None:
    assert change(scene(1, 64), scene(1, 64)) == pytest.approx(0, abs=1e-3)
    assert change(scene(1, 64), scene(2, 64)) > 2 * CUT_CHANGE
    assert is_cut(scene(1, 64), scene(2, 64))
    assert not is_cut(*pan(1, 2))


def test_a_flash_is_no_cut() -> None:
    shot = pan(4, 9)
    shot[4] = shot[4] * 0.2 + 0.8 * torch.tensor([1.0, 0.95, 0.7]).reshape(3, 1, 1) * scene(9, 64).mean(dim=0)
    assert is_cut(shot[3], shot[4])
    assert cuts(shot) == []


def test_a_step_of_the_light_is_no_cut() -> None:
    shot = pan(5, 10)
    assert cuts([*shot[:5], *(frame * 0.6 for frame in shot[5:])]) == []


def test_a_whip_pan_is_no_cut() -> None:
    assert cuts(pan(6, 12, step_px=14)) == []


def dissolve(old: list[Tensor], new: list[Tensor], length: int) -> list[Tensor]:
    """Two shots of one length, of which the second comes in over so many frames in the middle."""
    start = (len(old) - length) // 2
    shares = [min(max((i - start + 1) / (length + 1), 0.0), 1.0) for i in range(len(old))]
    return [torch.lerp(a, b, share) for a, b, share in zip(old, new, shares, strict=True)]


def slow(seed: int, frames: int) -> list[Tensor]:
    """A camera that moves a pixel in eight frames."""
    wide = F.interpolate(scene(seed)[None], scale_factor=8.0, mode="bicubic")
    return [F.avg_pool2d(wide[..., i : i + 64 * 8], 8)[0].clamp(0, 1) for i in range(frames)]


@pytest.mark.parametrize("length", [2, 6, 12, DISSOLVE_FRAMES])
def test_in_a_dissolve_the_new_shot_starts_where_it_outweighs_the_old(length: int) -> None:
    mixed = dissolve(slow(1, 40), slow(2, 40), length)
    (start,) = cuts(mixed)
    assert abs(start - 20) <= length // DISSOLVE_FRAMES, "to the frame, and in a long one beside it"
    assert kind_before(mixed, start) == "dissolve"


def test_a_dissolve_beside_a_cut_is_found_too() -> None:
    """Twelve frames lie between them, so that fewer on each side must do."""
    assert cuts([*slow(3, 8), *dissolve(slow(1, 40), slow(2, 40), 6)[8:]]) == [8, 20]


def test_light_that_fades_over_is_no_dissolve() -> None:
    shot = slow(5, 40)
    assert cuts([frame * (0.3 + 0.7 * i / 39) for i, frame in enumerate(shot)]) == []


def test_something_dark_that_passes_close_to_the_lens_is_no_cut() -> None:
    across, shot = torch.arange(64), slow(7, 30)
    bars = [((across >= 6 * (i - 10)) & (across < 6 * (i - 10) + 40)).float() * 0.97 for i in range(30)]
    assert cuts([frame * (1 - bar) for frame, bar in zip(shot, bars, strict=True)]) == []


def test_a_small_change_is_a_cut_where_all_else_is_still() -> None:
    """A cut on one set: the face fills more of the picture, and what is around it stays."""
    shot, across = slow(11, 24), torch.linspace(-1, 1, 64)
    far, near = ((across.abs() < width).float() * 0.5 for width in (0.15, 0.32))
    pictures = [torch.lerp(frame, scene(12, 64), far if i < 12 else near) for i, frame in enumerate(shot)]
    assert change(pictures[11], pictures[12]) < CUT_CHANGE
    assert cuts(pictures) == [12]


def test_after_black_a_new_shot_starts_with_the_first_picture() -> None:
    dark = [torch.full((3, 36, 64), 0.01)] * 5
    down = [frame * (1 - (i + 1) / 9) + 0.01 for i, frame in enumerate(slow(1, 8))]
    up = [frame * (i + 1) / 9 + 0.01 for i, frame in enumerate(slow(2, 8))]
    faded = [*slow(1, 12), *down, *dark, *up, *slow(2, 12)]
    assert cuts(faded) == [25]
    assert kind_before(faded, 25) == "black"


def test_black_and_noise_are_no_cuts() -> None:
    generator = torch.Generator().manual_seed(0)
    assert cuts([torch.zeros(3, 36, 64)] * 6) == []
    assert cuts([0.02 * torch.rand(3, 36, 64, generator=generator) for _ in range(8)]) == []


def test_frames_outside_the_window_have_no_influence() -> None:
    clip = [*pan(1, 9), *pan(2, 9)]
    for center in range(1, len(clip)):
        start = max(center - WINDOW_BEHIND, 0)
        near = clip[start : center + WINDOW_AHEAD + 1]
        assert cut_before(near, center - start) == cut_before(clip, center)


def test_the_first_frame_has_no_cut_before_it() -> None:
    assert not cut_before([scene(1, 64), scene(2, 64)], 0)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="thumbnails"):
        change(torch.zeros(3, 36, 64), torch.zeros(3, 36, 60))
    with pytest.raises(ShapeError, match="16"):
        change(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))


def thumbnails(path: Path) -> tuple[list[Tensor], Fraction, Fraction]:
    """The pictures of a clip, its first time in seconds, and its rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = Fraction(stream.average_rate or 0)
        first: Fraction | None = None
        pictures = []
        for frame in container.decode(stream):
            if first is None:
                first = Fraction(frame.pts or 0) * Fraction(stream.time_base or 1)
            small = frame.reformat(*THUMBNAIL_SIZE, format="rgb24", interpolation="AREA").to_ndarray()
            pictures.append(torch.from_numpy(small).permute(2, 0, 1).float() / 255)
    return pictures, first or Fraction(0), rate


@pytest.mark.footage
def test_cuts_of_a_clip_with_a_dissolve(shared: Path) -> None:
    assert cuts(thumbnails(shared / "clips/derived/drv_cuts_dissolve.mp4")[0]) == [24, 49, 55, 96]


# The manifest's lists, in seconds, leave some cuts out: those in the second list, frames, were found by eye.
FILMS = {
    "tos_battle_800x332.webm": (
        [
            *(
                2.17,
                6.58,
                9.21,
                12.88,
                29.79,
                32.83,
                36.33,
                37.54,
                46.96,
                48.21,
                50.13,
                51.42,
                51.92,
                53.5,
                56.04,
                57.42,
            ),
            59.58,
            65.46,
            67.42,
        ],
        [122, 987, 1472, 1525, 1650, 1689],
        1,
    ),
    "googlework_short_320x180.mp4": (
        [
            *(
                1.40,
                2.04,
                2.64,
                3.27,
                3.94,
                4.54,
                5.17,
                5.81,
                6.41,
                7.04,
                8.24,
                10.5,
                15.2,
                18.9,
                21.2,
                24.5,
                26.5,
                28.2,
            ),
            32.5,
        ],
        [204],
        0,
    ),
}


@pytest.mark.footage
@pytest.mark.parametrize("name", sorted(FILMS))
def test_cuts_of_film(shared: Path, name: str) -> None:
    seconds, frames, wrong = FILMS[name]
    pictures, first, rate = thumbnails(shared / "clips" / name)
    expected = sorted([*frames, *(round((second - float(first)) * float(rate)) for second in seconds)])
    found = cuts(pictures)
    missed = [frame for frame in expected if not any(abs(frame - other) <= 2 for other in found)]
    invented = [frame for frame in found if not any(abs(frame - other) <= 2 for other in expected)]
    assert missed == []
    assert len(invented) <= wrong


@pytest.mark.footage
@pytest.mark.parametrize("name", ["derived/drv_motionblur_12fps.mp4", "cisco_zhling_1280x720.mp4"])
def test_one_take_has_no_cut(shared: Path, name: str) -> None:
    assert cuts(thumbnails(shared / "clips" / name)[0]) == []
