"""Plates whose data windows differ from frame to frame, as renders that are cropped to what was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vfxswap.geometry import Box
from vfxswap_plugins.media.sequence_reader import SequenceReader

WINDOWS = {
    1001: ((40, 30), (170, 180)),
    1002: ((44, 28), (160, 190)),
    1003: ((-8, -6), (272, 268)),
    1004: ((128, 60), (90, 100)),
    1005: ((200, 10), (40, 30)),
}
"""The third is larger than the display window, the fourth cuts the face, the fifth holds none of it."""
WHOLE = ((-8, -6), (272, 268))
"""What holds all of them."""


def make(job: Any, exr: Any, *, is_cropped: bool, kind: Any = np.float16) -> None:
    """One picture, cropped or with black around it, which is what OpenEXR says that there is."""
    for number, (corner, size) in WINDOWS.items():
        channels = {name: exr.smooth(i, size, kind) for i, name in enumerate("RGBA")}
        window = (corner, size) if is_cropped else WHOLE
        if not is_cropped:
            channels = {name: placed(pixels, corner) for name, pixels in channels.items()}
        job.write(number, (exr.header(*window, "zip" if number % 2 else "zips"), channels))


def placed(pixels: NDArray[Any], corner: tuple[int, int]) -> NDArray[Any]:
    """The same in the whole window, with black around."""
    found = np.zeros(WHOLE[1][::-1], pixels.dtype)
    rows, columns = pixels.shape
    found[corner[1] + 6 :, corner[0] + 8 :][:rows, :columns] = pixels
    return found


def test_each_frame_keeps_its_own_window(job: Any, exr: Any) -> None:
    make(job, exr, is_cropped=True)
    job.run()
    for number, (corner, size) in WINDOWS.items():
        (before,), (after,) = exr.read(job.plate(number)), exr.read(job.out(number))
        assert exr.header_of(job.plate(number)) == exr.header_of(job.out(number))
        near = exr.face(number, corner, size)
        for name, pixels in before.items():
            changed = exr.differs(pixels, after[name])
            assert not changed[~near].any()
            assert changed.any() == (name in "RGB" and near.any())
    assert job.out(1005).read_bytes() == job.plate(1005).read_bytes()


def test_it_is_what_comes_of_the_whole_picture(job: Any, exr: Any) -> None:
    """A stage sees the same pixels at the same places, so the same bits come out."""
    make(job, exr, is_cropped=True)
    job.run()
    cropped = {number: exr.read(job.out(number))[0] for number in WINDOWS}
    make(job, exr, is_cropped=False)
    job.run(overwrite=True)
    for number, (corner, size) in WINDOWS.items():
        (whole,) = exr.read(job.out(number))
        rows = slice(corner[1] + 6, corner[1] + 6 + size[1])
        columns = slice(corner[0] + 8, corner[0] + 8 + size[0])
        for name, pixels in cropped[number].items():
            assert not exr.differs(pixels, np.ascontiguousarray(whole[name][rows, columns])).any()


def test_a_chunk_sees_the_window_of_the_whole_plate(job: Any, exr: Any) -> None:
    make(job, exr, is_cropped=True)
    job.run()
    whole = [job.out(number).read_bytes() for number in WINDOWS]
    for number, data in zip(WINDOWS, whole, strict=True):
        report = job.run(frames=str(number), out=job.root / "part" / "p.####.exr")
        assert report.outputs[0].read_bytes() == data


def test_the_plate_is_what_holds_all_windows(job: Any, exr: Any) -> None:
    make(job, exr, is_cropped=True)
    with SequenceReader(Path(job.root / "plate" / "plate.####.exr")) as reader:
        info = reader.info
        assert (info.width, info.height, info.display) == (272, 268, Box(8, 6, 264, 262))
        frames = list(reader.frames(1001, 1005))
    for frame in frames:
        assert (frame.plate.width, frame.plate.height) == (272, 268)
        (corner, size), plane = WINDOWS[frame.number], frame.plate.planes[1]
        rows, columns = (
            slice(corner[1] + 6, corner[1] + 6 + size[1]),
            slice(corner[0] + 8, corner[0] + 8 + size[0]),
        )
        assert np.array_equal(plane[rows, columns], exr.smooth(1, size))
        around = np.ones(plane.shape, bool)
        around[rows, columns] = False
        assert not plane[around].any()
        assert not plane.flags.writeable


def test_a_cropped_plate_is_delivered_as_tiff_in_one_size(job: Any, exr: Any) -> None:
    make(job, exr, is_cropped=True, kind=np.float32)
    report = job.run(out=job.root / "tif" / "o.####.tif")
    with SequenceReader(job.root / "tif" / "o.####.tif") as reader:
        assert (reader.info.width, reader.info.height) == (272, 268)
        assert reader.info.unfit == {}
    assert len(report.outputs) == len(WINDOWS)
