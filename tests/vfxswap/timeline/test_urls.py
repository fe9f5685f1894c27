"""What URLs of media references mean, and how files are written as URLs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfxswap.errors import UsageError
from vfxswap.timeline.urls import is_relative, path_of, url_of

FOLDER = Path("/cuts/reel1")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("plates/a.mov", "/cuts/reel1/plates/a.mov"),
        ("./plates/my%20shot.mov", "/cuts/reel1/plates/my shot.mov"),
        ("../plates/a.%04d.exr", "/cuts/reel1/../plates/a.%04d.exr"),
        ("plates/my%20shot.%04d.exr", "/cuts/reel1/plates/my shot.%04d.exr"),
        ("plates/a.####.exr", "/cuts/reel1/plates/a.####.exr"),
        ("/mnt/plates/a.mov", "/mnt/plates/a.mov"),
        ("file:///mnt/plates/a.mov", "/mnt/plates/a.mov"),
        ("file:/mnt/plates/a.mov", "/mnt/plates/a.mov"),
        ("file://localhost/mnt/my%20shot%23%3F.mov", "/mnt/my shot#?.mov"),
        ("FILE:///mnt/a.%04d.exr", "/mnt/a.%04d.exr"),
        ("file:///mnt/a.####.exr", "/mnt/a.####.exr"),
        ("file:///mnt/a%2504d.exr", "/mnt/a%04d.exr"),
        ("file:///mnt/%d0%bb.%d.exr", "/mnt/л.%d.exr"),
        ("file:plates/a.mov", "/cuts/reel1/plates/a.mov"),
        ("", "/cuts/reel1"),
    ],
)
def test_a_url_names_a_file(url: str, path: str) -> None:
    assert path_of(url, FOLDER) == Path(path)


def test_a_file_whose_name_looks_escaped_is_found(tmp_path: Path) -> None:
    (tmp_path / "100%25.mov").touch()
    assert path_of("100%25.mov", tmp_path) == tmp_path / "100%25.mov"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://example.com/a.mov", r"only files can be read: fetch it, and name it with \[shot\] plate"),
        ("s3://bucket/a.mov", "only files can be read"),
        ("file://server/share/a.mov", "is on the machine server"),
    ],
)
def test_what_is_no_file_here_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        path_of(url, FOLDER)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0\\", exclude_categories=["C"]), min_size=1))
def test_every_name_is_read_as_it_is_written(name: str) -> None:
    if name not in {".", ".."}:
        for folder in (FOLDER, FOLDER / "..", Path("/elsewhere")):
            found = path_of(url_of(folder / name, FOLDER), FOLDER)
            assert found.resolve() == (folder / name).resolve()


def test_neighbours_are_relative_and_strangers_are_not() -> None:
    assert url_of(Path("/cuts/reel1/out/a.mov"), FOLDER) == "out/a.mov"
    assert url_of(Path("/cuts/out/a.mov"), FOLDER) == "../out/a.mov"
    assert url_of(Path("/mnt/shots/a.mov"), Path("/cuts/reel1/otio")) == "file:///mnt/shots/a.mov"
    assert is_relative("out/a.mov")
    assert not is_relative("/out/a.mov")
    assert not is_relative("file:///out/a.mov")
