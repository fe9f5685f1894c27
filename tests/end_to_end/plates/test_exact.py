"""Through a pipeline, nothing of an EXR changes but the face: every pattern of bits, in every form of storing it."""

from __future__ import annotations

from typing import Any

import numpy as np
import OpenEXR
import pytest

COMPRESSIONS = ("zip", "zips", "piz", "rle", "none")


def check(
    job: Any, exr: Any, *, corner: tuple[int, int], size: tuple[int, int], picture: str = "", part: int = 0
) -> None:
    """Holds each delivered file against its plate."""
    colors = {f"{picture}{letter}" for letter in "RGB"}
    for number in job.numbers:
        before, after = exr.read(job.plate(number)), exr.read(job.out(number))
        near = exr.face(number, corner, size)
        inner = exr.face(number, corner, size, grow=0.1)
        assert len(before) == len(after)
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            assert exr.header_of(job.plate(number), i) == exr.header_of(job.out(number), i)
            assert list(old) == list(new)
            for name, pixels in old.items():
                changed = exr.differs(pixels, new[name])
                if i == part and name in colors:
                    finite = np.isfinite(pixels)
                    assert not changed[~finite].any(), "infinities and NaNs keep their bits, in the matte too"
                    assert not changed[~near].any()
                    tame = inner & finite & (np.abs(pixels.astype(np.float32)) < 100)
                    assert changed[tame].mean() > 0.5 if tame.any() else True
                else:
                    assert not changed.any(), name


@pytest.mark.parametrize("is_tiled", [False, True], ids=["lines", "tiles"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_all_patterns_of_a_half_in_every_channel(job: Any, exr: Any, compression: str, is_tiled: bool) -> None:
    more = exr.tiled(48, 40) if is_tiled else {}
    for number in job.numbers:
        names = ("R", "G", "B", "A", "mask", "glow.R")
        channels = {name: exr.patterns(10 * number + i) for i, name in enumerate(names)}
        for i, name in enumerate("RGB"):
            channels[name] = np.where(exr.face(number, (0, 0), (256, 256), 0.3), exr.smooth(i), channels[name])
        channels["Z"] = exr.random_bits(number, np.float32)
        channels["id"] = exr.random_bits(number + 50, np.uint32)
        job.write(number, (exr.header((0, 0), (256, 256), compression, **more), channels))
    report = job.run()
    assert all(record.identities == ("hero",) for record in report.frames)
    assert "remarks" not in report.run
    check(job, exr, corner=(0, 0), size=(256, 256))


def test_all_patterns_lie_under_the_matte_too(job: Any, exr: Any) -> None:
    """Whatever is there, a stage gets numbers, and infinities and NaNs come back as they were."""
    for number in job.numbers:
        channels = {name: exr.patterns(10 * number + i) for i, name in enumerate("RGBA")}
        job.write(number, (exr.header((0, 0), (256, 256)), channels))
    job.run()
    check(job, exr, corner=(0, 0), size=(256, 256))


WINDOWS = {
    "overscan": ((-16, -9), (290, 280)),
    "inside": ((60, 50), (150, 160)),
    "cuts the face": ((128, 10), (100, 125)),
    "a sliver of the face": ((40, 92), (200, 7)),
    "outside the display window": ((100, 60), (400, 300)),
}


@pytest.mark.parametrize("kind", [np.float16, np.float32], ids=["half", "float"])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_data_windows_of_all_kinds(job: Any, exr: Any, window: Any, kind: Any) -> None:
    corner, size = window
    for number in job.numbers:
        channels = {
            name: exr.patterns(10 * number + i, size) if kind is np.float16 else exr.random_bits(number + i, kind, size)
            for i, name in enumerate("RGBA")
        }
        near = exr.face(number, corner, size, 0.3)
        channels |= {name: np.where(near, exr.smooth(i, size, kind), channels[name]) for i, name in enumerate("RGB")}
        job.write(number, (exr.header(corner, size, "piz"), channels))
    job.run()
    check(job, exr, corner=corner, size=size)


def test_views_and_parts_are_carried_and_one_of_them_is_changed(job: Any, exr: Any) -> None:
    for number in job.numbers:
        parts = [
            (exr.header((0, 0), (256, 256), "rle", name="depth"), {"Z": exr.random_bits(number, np.float32)}),
            *(
                (
                    exr.header((0, 0), (256, 256), "zip", name=view, view=view),
                    {n: exr.smooth(i) for i, n in enumerate("RGB")},
                )
                for view in ("left", "right")
            ),
            (exr.header((9, 9), (80, 90), "zips", name="mask", **exr.tiled(32, 32)), {"m": exr.patterns(3, (80, 90))}),
        ]
        job.write(number, *parts)
    job.run()
    check(job, exr, corner=(0, 0), size=(256, 256), part=1)
    left = job.out(1001).read_bytes()
    job.run(shot='layer = "right"', overwrite=True)
    check(job, exr, corner=(0, 0), size=(256, 256), part=2)
    assert job.out(1001).read_bytes() != left


def test_a_layer_of_the_picture_may_be_the_plate(job: Any, exr: Any) -> None:
    for number in job.numbers:
        names = [f"{prefix}{letter}" for prefix in ("", "left.", "right.") for letter in "RGB"]
        channels = {name: exr.smooth(i) for i, name in enumerate(names)}
        job.write(number, (exr.header((0, 0), (256, 256), multiView=["main", "left", "right"]), channels))
    job.run(shot='layer = "right"')
    check(job, exr, corner=(0, 0), size=(256, 256), picture="right.")
    job.run(shot='layer = "main"', overwrite=True)
    check(job, exr, corner=(0, 0), size=(256, 256))


def test_lossy_plates_are_not_lost_again(job: Any, exr: Any) -> None:
    for number in job.numbers:
        head = exr.header((0, 0), (256, 256), "dwab", dwaCompressionLevel=45.0)
        job.write(number, (head, {name: exr.smooth(i) for i, name in enumerate("RGBA")}))
    report = job.run()
    assert "compressed by dwab, which loses with each writing; written as zips" in report.run["remarks"][0]
    for number in job.numbers:
        (before,), (after,) = exr.read(job.plate(number)), exr.read(job.out(number))
        for name in "RGB":
            assert not exr.differs(before[name], after[name])[~exr.face(number, (0, 0), (256, 256))].any()
        assert exr.header_of(job.out(number))["compression"] == str(OpenEXR.ZIPS_COMPRESSION)


def test_frames_without_a_face_are_the_plates_files(job: Any, exr: Any) -> None:
    for number in job.numbers:
        job.write(
            number,
            (exr.header((300, 300), (64, 64)), {name: exr.patterns(i, (64, 64)) for i, name in enumerate("RGB")}),
        )
    job.run()
    assert [job.out(number).read_bytes() for number in job.numbers] == [
        job.plate(number).read_bytes() for number in job.numbers
    ]


@pytest.mark.parametrize("kind", [np.float16, np.float32], ids=["half", "float"])
def test_alpha_is_neither_multiplied_nor_divided(job: Any, exr: Any, kind: Any) -> None:
    """Alpha over 1, below 0, none where there is light, and not a number: the colours do not mind."""
    alphas = [np.full((256, 256), value, kind) for value in (1.0, 0.0, -2.0, 40.0, np.nan)]
    for number, alpha in zip(job.numbers, alphas, strict=True):
        channels = {name: exr.smooth(i, kind=kind) for i, name in enumerate("RGB")} | {"A": alpha}
        job.write(number, (exr.header((0, 0), (256, 256)), channels))
    job.run()
    check(job, exr, corner=(0, 0), size=(256, 256))
    with_alpha = [exr.read(job.out(number))[0] for number in job.numbers]
    for number in job.numbers:
        channels = {name: exr.smooth(i, kind=kind) for i, name in enumerate("RGB")}
        job.write(number, (exr.header((0, 0), (256, 256)), channels))
    job.run(overwrite=True)
    for number, old in zip(job.numbers, with_alpha, strict=True):
        (new,) = exr.read(job.out(number))
        assert not any(exr.differs(old[name], new[name]).any() for name in "RGB")
