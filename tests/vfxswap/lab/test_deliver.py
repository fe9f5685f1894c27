"""A shot on disk: movies, tracks, mattes and an identity that a pipeline takes as they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vfxswap.color import Transfer
from vfxswap.errors import MediaError, UsageError
from vfxswap.geometry import Box
from vfxswap.host import Host
from vfxswap.identity import consent_problems, load_identity
from vfxswap.lab.cli import app
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.deliver import LAYOUTS, TAGS, Delivered, LayoutName, deliver, stored
from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.play import Stage
from vfxswap.lab.shot import ShotSpec
from vfxswap.lab.stills import STILLS, write_identity
from vfxswap.ops.ycbcr import to_rgb
from vfxswap.trackfile import read_tracks, sidecar


@pytest.fixture(scope="module")
def delivered(tiny_spec: Callable[..., ShotSpec], tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    folder = tmp_path_factory.mktemp("shot")
    done = []
    result = deliver(
        tiny_spec(),
        folder,
        width=128,
        height=72,
        frames=[1003, 1004],
        data=True,
        still_px=128,
        progress=lambda count, total: done.append((count, total)),
    )
    assert done == [(1, 2), (2, 2)]
    return result


def test_movies_hold_the_frames(delivered: Delivered, tiny_stage: Stage) -> None:
    frame = tiny_stage.frame(1004)
    for path, picture in ((delivered.plate, frame.plate), (delivered.truth, frame.truth)):
        with Host().reader_for(path)(path) as reader:
            assert reader.info.count == 2
            assert reader.info.tags.transfer is Transfer.SRGB
            (_, second) = reader.frames(1, 2)
        expected = stored(picture, LAYOUTS["yuv420p"])
        for got, plane in zip(second.plate.planes, expected.planes, strict=True):
            np.testing.assert_array_equal(got, plane)


def test_stored_pictures_are_what_was_rendered(tiny_stage: Stage) -> None:
    picture = tiny_stage.frame(1001).plate
    coded = stored(picture, LAYOUTS["yuv444p10le"])
    back = to_rgb(coded.planes, coded.layout, TAGS, Box(0, 0, 128, 72), device=torch.device("cpu"))
    torch.testing.assert_close(back, srgb_encoded(picture), atol=2.5e-3, rtol=0)


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_odd_sizes_can_be_stored(name: LayoutName) -> None:
    picture = stored(torch.full((3, 9, 7), 0.5), LAYOUTS[name])
    assert (picture.width, picture.height) == (7, 9)


def test_tracks_are_the_exact_landmarks(delivered: Delivered, tiny_stage: Stage) -> None:
    tracks = read_tracks(delivered.tracks)
    tracks.check_size(128, 72)
    (face,) = tracks.faces(2)
    assert face.landmarks is not None
    np.testing.assert_allclose(face.landmarks.points, tiny_stage.frame(1004).faces[0].mesh.points, atol=6e-4)


def test_mattes_and_data_are_beside_the_movies(delivered: Delivered, tiny_stage: Stage) -> None:
    folder, frame = delivered.plate.parent, tiny_stage.frame(1003)
    matte = cv2.imread(str(folder / "mattes" / "matte.0001.png"), cv2.IMREAD_UNCHANGED)
    assert matte is not None
    assert matte.dtype == np.uint16
    np.testing.assert_allclose(matte / 65535, frame.matte[0].numpy(), atol=1e-5)
    with np.load(folder / "data" / "data.0001.npz") as data:
        np.testing.assert_array_equal(data["depth_cm"], frame.depth.numpy())
        np.testing.assert_array_equal(data["visible0"], frame.faces[0].visible)


def test_the_shot_file_makes_the_same_shot(delivered: Delivered, tiny_spec: Callable[..., ShotSpec]) -> None:
    text = (delivered.plate.parent / "shot.json").read_text(encoding="utf-8")
    assert ShotSpec.model_validate_json(text) == tiny_spec()


def test_the_identity_has_consent_and_points(delivered: Delivered) -> None:
    (folder,) = delivered.identities
    identity, problems = load_identity("hero", folder)
    assert problems == []
    assert identity is not None
    assert len(identity.stills) == len(STILLS)
    assert consent_problems(identity, production="lab", purpose="test", today=date(2026, 5, 1), where="x") == []
    assert consent_problems(identity, production="else", purpose="test", today=date(2026, 5, 1), where="x")
    for still in identity.stills:
        image = cv2.imread(str(still))
        assert image is not None
        tracks = read_tracks(sidecar(still))
        tracks.check_size(image.shape[1], image.shape[0])
        (face,) = tracks.faces(1)
        assert face.landmarks is not None
        assert (face.landmarks.points[:, :2] > 0).all()
        assert (face.landmarks.points[:, :2] < image.shape[0]).all()


def test_a_title_cannot_break_the_record(tmp_path: Path) -> None:
    looks = PERFORMERS["eun"].model_copy(update={"title": 'E "the \\ one"'})
    write_identity(looks, tmp_path, size=128)
    identity, problems = load_identity("e", tmp_path)
    assert problems == []
    assert identity is not None
    assert identity.title == 'E "the \\ one"'


def test_a_folder_that_cannot_be_made_is_an_error(tiny_spec: Callable[..., ShotSpec], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="cannot make the folder"):
        deliver(tiny_spec(), tmp_path / "file" / "shot", width=64, height=36, frames=[1001])


def test_the_command_writes_a_shot(tiny_spec: Callable[..., ShotSpec], tmp_path: Path) -> None:
    spec = tmp_path / "tiny.json"
    spec.write_text(tiny_spec().model_dump_json(), encoding="utf-8")
    words = [
        "shot",
        "--spec",
        str(spec),
        "--size",
        "64x36",
        "--still-px",
        "128",
        "--frames",
        "1001-1003x2",
        "--out",
        str(tmp_path / "a.mkv"),
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "2 frames" in result.output
    assert (tmp_path / "a.mkv").is_file()
    assert (tmp_path / "a_truth.mkv").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shot", "--out", "x"], "give either --preset NAME or --spec FILE"),
        (["shot", "--out", "x", "--preset", "tallk"], "no preset 'tallk'; there are demo, talk"),
        (["shot", "--out", "x", "--preset", "talk", "--size", "big"], "cannot read the size 'big'"),
        (["shot", "--out", "x", "--preset", "talk", "--layout", "rgb"], "no layout 'rgb'; there are yuv420p"),
        (["shot", "--out", "x.mkv", "--preset", "talk", "--layout", "exr"], "must be a folder, not the movie x.mkv"),
        (["shot", "--out", "x", "--preset", "talk", "--size", "9000x20", "--layout", "exr"], "9000x20 is outside 32"),
        (["identity", "zoe", "--out", "x"], "no performer 'zoe'; there are ada"),
    ],
)
def test_wrong_words_are_refused(words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_help_brings_no_torch() -> None:
    code = "import sys, vfxswap.lab.cli; sys.exit(sorted({'torch', 'cv2', 'numpy'} & sys.modules.keys()) != [])"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_performers_are_listed() -> None:
    assert "ada  CG performer A (synthetic)" in CliRunner().invoke(app, ["performers"]).output


def test_presets_are_listed() -> None:
    result = CliRunner().invoke(app, ["presets"])
    assert "demo       1001-1048  CG performer A (synthetic)" in result.output
