"""Plates and disks that are not as they should be: the message names the file, and nothing half-written is left."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfxswap.errors import MediaError, PipelineError, TruncatedPlate
from vfxswap_plugins.media import picture_file, sequence_reader

SIZE = (256, 256)


def make(job: Any, exr: Any) -> None:
    for number in job.numbers:
        write(job, exr, number)


def write(job: Any, exr: Any, number: int, names: str = "RGBA", size: tuple[int, int] = SIZE, **header: Any) -> Path:
    channels = {name: exr.patterns(10 * number + i, size) for i, name in enumerate(names)}
    path: Path = job.write(number, (exr.header((0, 0), size, **header), channels))
    return path


def whole_files(job: Any, exr: Any) -> list[int]:
    """Frames that are delivered; each must be whole."""
    found = [number for number in job.numbers if job.out(number).exists()]
    for number in found:
        assert {"R", "G", "B"} <= set(exr.read(job.out(number))[0])
    names = {job.out(number).name for number in found}
    assert not [name for name in job.left() if name.endswith(".exr") and name not in names], "no half-written file"
    return found


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_file_that_is_cut_off_is_named_and_ends_the_run(job: Any, exr: Any, kept: float) -> None:
    make(job, exr)
    path = job.plate(1004)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(TruncatedPlate, match=r"plate\.1004\.exr is damaged or cut off: .*; copy it again") as caught:
        job.run()
    assert caught.value.frame == 1004
    before = {number: job.out(number).stat().st_mtime_ns for number in whole_files(job, exr)}
    assert set(before) <= {1001, 1002, 1003}
    write(job, exr, 1004)
    job.run()  # goes on; what does not see the mended file is left as it is
    assert whole_files(job, exr) == list(job.numbers)
    assert all(job.out(number).stat().st_mtime_ns == time for number, time in before.items())


DIFFERENT = {
    "a smaller picture": ({"displayWindow": ((0, 0), (127, 127)), "size": (128, 128)}, "has the size 128x128, while"),
    "no alpha": ({"names": "RGB"}, "has the channels B half, G half, R half, while the sequence begins with A half,"),
    "one channel": ({"names": "Y"}, "has the channels Y half, while the sequence begins with"),
    "a moved display window": ({"displayWindow": ((4, 4), (259, 259))}, "has the display window 256x256 at 4,4, while"),
    "other pixels": ({"pixelAspectRatio": 2.0}, "has the pixel aspect 2, while the sequence begins with 1"),
    "another colour": (
        {"colorInteropID": "lin_rec709_scene"},
        "has the colour bt709, linear, while the sequence begins with unspecified",
    ),
}


@pytest.mark.parametrize(("change", "message"), DIFFERENT.values(), ids=DIFFERENT)
def test_files_that_do_not_belong_together_are_said_before_the_start(
    job: Any, exr: Any, change: dict[str, Any], message: str
) -> None:
    make(job, exr)
    for number in (1003, 1004):
        write(job, exr, number, **change)
    with pytest.raises(PipelineError, match=re.escape(f"plate.1003.exr {message}")) as caught:
        job.run()
    assert "(plate.1001.exr)" in str(caught.value)
    assert "likewise 1 more of the frames asked for: 1004" in str(caught.value)
    assert job.left() == []
    job.run(frames="1001-1002")
    assert whole_files(job, exr) == [1001, 1002]


def test_a_file_that_is_no_picture_in_the_middle_is_said_before_the_start(job: Any, exr: Any) -> None:
    make(job, exr)
    job.plate(1002).write_bytes(b"")
    job.plate(1003).write_text("not a picture, but a text that somebody left here\n" * 9)
    job.plate(1004).write_bytes(job.plate(1005).read_bytes()[:50])
    with pytest.raises(PipelineError, match=r"plate\.1002\.exr is empty \(0 bytes\)") as caught:
        job.run()
    assert "likewise 2 more of the frames asked for: 1003-1004" in str(caught.value)
    with pytest.raises(PipelineError, match=r"plate\.1003\.exr cannot be read as a picture: it is not an OpenEXR file"):
        job.run(frames="1003")
    with pytest.raises(PipelineError, match=r"plate\.1004\.exr cannot be read as a picture: it ends within its head"):
        job.run(frames="1004")
    assert job.left() == []


def test_a_plate_of_one_channel_is_said_to_be_one(job: Any, exr: Any) -> None:
    """All of it: such a plate is gray, and is worked on as such."""
    for number in job.numbers:
        job.write(number, (exr.header((0, 0), SIZE), {"Y": exr.smooth(1)}))
    job.run()
    for number in job.numbers:
        (before,), (after,) = exr.read(job.plate(number)), exr.read(job.out(number))
        changed = exr.differs(before["Y"], after["Y"])
        assert changed.any()
        assert not changed[~exr.face(number, (0, 0), SIZE)].any()


def test_holes_are_listed_and_nothing_is_renumbered(job: Any, exr: Any) -> None:
    make(job, exr)
    for number in (1002, 1004):
        job.plate(number).unlink()
    with pytest.raises(PipelineError, match=r"no files for 2 of its frames: 1002,1004|: 1002-1004x2"):
        job.run()
    job.run(shot='on_hole = "skip"')
    assert whole_files(job, exr) == [1001, 1003, 1005]


def test_a_layer_that_is_not_there_is_said_with_those_that_are(job: Any, exr: Any) -> None:
    make(job, exr)
    with pytest.raises(PipelineError, match=r"plate\.1001\.exr has no layer 'beauty'; it has rgba"):
        job.run(shot='layer = "beauty"')


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(
    job: Any, exr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(job, exr)
    original = picture_file.read

    def replaced(path: Path, *args: Any, **options: Any) -> Any:
        if path == job.plate(1003):
            write(job, exr, 1003)
            os.utime(path, (1, 1))
        return original(path, *args, **options)

    monkeypatch.setattr(sequence_reader, "read", replaced)
    with pytest.raises(MediaError, match=r"plate\.1003\.exr was changed while the plate was being read") as caught:
        job.run()
    assert caught.value.frame == 1003
    assert set(whole_files(job, exr)) <= {1001, 1002}


def test_a_file_that_goes_away_is_noticed(job: Any, exr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make(job, exr)
    original = picture_file.read

    def gone(path: Path, *args: Any, **options: Any) -> Any:
        if path == job.plate(1003):
            path.unlink()
        return original(path, *args, **options)

    monkeypatch.setattr(sequence_reader, "read", gone)
    with pytest.raises(MediaError, match=r"cannot read .*plate\.1003\.exr: No such file"):
        job.run()
    assert set(whole_files(job, exr)) <= {1001, 1002}


@pytest.fixture
def disk(job: Any) -> Iterator[Any]:
    """Mounts a small disk where the delivery goes."""
    folder = job.root / "out"
    folder.mkdir()
    mounted = False

    def mount(options: str) -> None:
        nonlocal mounted
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False) if shutil.which("mount") else None
        if done is None or done.returncode != 0:
            pytest.skip(f"no tmpfs can be mounted here: {'no mount' if done is None else done.stderr.strip()}")
        mounted = True

    yield mount
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_whole_files_and_says_which_frame(job: Any, exr: Any, disk: Any) -> None:
    make(job, exr)
    disk("size=1500k")
    assert 600_000 > job.plate(1001).stat().st_size > 400_000
    with pytest.raises(MediaError, match=r"out\.100\d\.exr, frame 100\d: the disk is full; free some space"):
        job.run()
    assert set(whole_files(job, exr)) <= {1001, 1002, 1003}
    assert len(whole_files(job, exr)) >= 1


def test_a_read_only_disk_is_said_before_the_start(job: Any, exr: Any, disk: Any) -> None:
    make(job, exr)
    disk("ro,size=1m")
    with pytest.raises(PipelineError, match=r"nothing can be written in .*: Read-only file system"):
        job.run()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said_before_the_start(job: Any, exr: Any) -> None:
    make(job, exr)
    (job.root / "out").mkdir(mode=0o500)
    with pytest.raises(PipelineError, match=r"nothing can be written in .*: Permission denied"):
        job.run()


def test_halves_that_would_overflow_are_kept_within_what_a_half_can_say(job: Any, exr: Any) -> None:
    """A changed pixel never becomes infinite."""
    for number in job.numbers:
        job.write(
            number,
            (exr.header((0, 0), SIZE), {name: np.full(SIZE, 65504, np.float16) for name in "RGB"}),
        )
    job.run()
    for number in job.numbers:
        assert all(np.isfinite(pixels).all() for pixels in exr.read(job.out(number))[0].values())
