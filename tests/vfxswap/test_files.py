"""Names with a place for the frame number, and files that appear whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfxswap.errors import MediaError, UsageError
from vfxswap.files import FramePattern, is_pattern, whole


@pytest.mark.parametrize(
    ("pattern", "frame", "name"),
    [
        ("a.%04d.exr", 7, "a.0007.exr"),
        ("a_%d.png", 1001, "a_1001.png"),
        ("a.###.png", 12345, "a.12345.png"),
        ("a.@@.png", 3, "a.03.png"),
        ("a.$F4.tif", -3, "a.-003.tif"),
        ("a.$F.tif", 3, "a.3.tif"),
        ("still.png", 99, "still.png"),
        ("mail@home.png", 99, "mail@home.png"),
    ],
)
def test_each_spelling_names_the_file_of_a_frame(pattern: str, frame: int, name: str) -> None:
    assert FramePattern(Path("roto") / pattern).path(frame) == Path("roto") / name
    assert is_pattern(Path("roto") / pattern) is (name != pattern)


def test_what_is_ambiguous_is_refused() -> None:
    with pytest.raises(UsageError, match="2 places for a frame number"):
        FramePattern(Path("a.####.%04d.exr"))
    with pytest.raises(UsageError, match="one # is one digit in some programs and four in others"):
        FramePattern(Path("a.#.exr"))


def test_files_are_found_by_number_and_by_their_zeros(tmp_path: Path) -> None:
    for name in ("a.0998.exr", "a.0999.exr", "a.1000.exr", "a.10000.exr", "a.-001.exr", "a.7.exr", "a.00999.exr"):
        (tmp_path / name).touch()
    (tmp_path / "a.0997.exr.bak").touch()
    (tmp_path / ".a.0996.exr").touch()
    found = FramePattern(tmp_path / "a.####.exr").existing()
    assert list(found) == [-1, 998, 999, 1000, 10000]
    assert found[-1] == tmp_path / "a.-001.exr"
    assert list(FramePattern(tmp_path / "a.%d.exr").existing()) == [7, 1000, 10000]
    assert FramePattern(tmp_path / "a.exr").existing() == {}
    assert FramePattern(tmp_path / "absent" / "a.####.exr").existing() == {}


def test_one_file_stands_for_all_frames() -> None:
    assert FramePattern(Path("still.png")).paths(range(1, 9)) == [Path("still.png")]
    assert FramePattern(Path("a.%d.png")).paths([3, 5]) == [Path("a.3.png"), Path("a.5.png")]


@pytest.mark.parametrize(
    ("name", "printf"),
    [
        ("a.####.exr", "a.%04d.exr"),
        ("a.@@@@@.exr", "a.%05d.exr"),
        ("a.$F4.exr", "a.%04d.exr"),
        ("a.$F.exr", "a.%d.exr"),
        ("a.%d.exr", "a.%d.exr"),
        ("a.mov", "a.mov"),
    ],
)
def test_any_pattern_can_be_written_as_every_program_reads_it(name: str, printf: str) -> None:
    pattern = FramePattern(Path(name))
    assert pattern.printf == Path(printf)
    assert FramePattern(pattern.printf).path(7) == pattern.path(7)
    assert "".join(pattern.parts) == name


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with whole(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    with pytest.raises(MediaError, match="cannot write"), whole(target) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]
