"""A shot as OpenEXR: what was rendered, in half floats, under the shot's own frame numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from vfxswap.errors import MediaError
from vfxswap.host import Host
from vfxswap.lab.cli import app
from vfxswap.lab.deliver import SEQUENCES, Delivered, deliver
from vfxswap.lab.exr import CHROMATICITIES
from vfxswap.lab.play import Stage, build
from vfxswap.lab.shot import Lens, ShotSpec
from vfxswap.trackfile import read_tracks

_FRAMES = [1003, 1005]


@pytest.fixture(scope="module")
def bright_spec(tiny_spec: Callable[..., ShotSpec]) -> ShotSpec:
    """The tiny shot, exposed so that lit skin is brighter than white."""
    return tiny_spec(lens=Lens(samples=2, grain=0.01, exposure_stops=2.0))


@pytest.fixture(scope="module")
def bright_stage(bright_spec: ShotSpec) -> Stage:
    return build(bright_spec, width=128, height=72)


@pytest.fixture(scope="module")
def delivered(bright_spec: ShotSpec, tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    folder = tmp_path_factory.mktemp("linear")
    return deliver(bright_spec, folder, width=128, height=72, frames=_FRAMES, layout="exr", data=True, still_px=128)


def _read(path: Path) -> tuple[NDArray[Any], oiio.ImageSpec]:
    file = oiio.ImageInput.open(str(path))
    assert file is not None, oiio.geterror()
    found = file.read_image(file.spec().format)
    assert found is not None, file.geterror()
    return found, file.spec()


def test_halves_are_what_was_rendered(delivered: Delivered, bright_stage: Stage) -> None:
    for number in _FRAMES:
        frame = bright_stage.frame(number)
        for pattern, picture in ((delivered.plate, frame.plate), (delivered.truth, frame.truth)):
            found, header = _read(Path(str(pattern) % number))
            assert found.dtype == np.float16
            assert header.channelnames == ("R", "G", "B")
            np.testing.assert_array_equal(found.transpose(2, 0, 1), picture.numpy().astype(np.float16))
            np.testing.assert_allclose(found.transpose(2, 0, 1), picture.numpy(), rtol=2**-11, atol=2**-24)
            assert bool(np.isfinite(found).all())


def test_light_above_white_is_kept(delivered: Delivered, bright_stage: Stage) -> None:
    found, _ = _read(Path(str(delivered.plate) % _FRAMES[0]))
    expected = bright_stage.frame(_FRAMES[0]).plate
    assert float((expected > 1.0).float().mean()) > 0.02
    assert float(expected.max()) > 2
    assert int((found > 1.0).sum()) == int((expected.numpy().astype(np.float16) > 1.0).sum())


def test_headers_state_the_primaries_and_the_rate(delivered: Delivered) -> None:
    _, header = _read(Path(str(delivered.truth) % _FRAMES[1]))
    np.testing.assert_allclose(header.getattribute("chromaticities"), CHROMATICITIES, rtol=1e-6)
    assert header.getattribute("oiio:ColorSpace") == "lin_rec709_scene"
    assert header.getattribute("FramesPerSecond") == (24, 1)
    assert header.getattribute("compression") == "zip"


def test_a_reader_takes_a_frame_as_linear(delivered: Delivered) -> None:
    path = Path(str(delivered.plate) % _FRAMES[0])
    with Host().reader_for(path)(path) as reader:
        assert (reader.info.width, reader.info.height, reader.info.layout.is_float) == (128, 72, True)
        assert reader.info.rate == 24
        assert reader.info.rate_from == "file"


def test_everything_counts_as_the_shot_does(delivered: Delivered, bright_stage: Stage) -> None:
    folder = delivered.tracks.parent
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.is_file()}
    for number in _FRAMES:
        assert {f"plate/plate.{number}.exr", f"truth/truth.{number}.exr", f"mattes/matte.{number}.png"} <= names
    assert not [name for name in names if ".tmp." in name]
    tracks = read_tracks(delivered.tracks)
    (face,) = tracks.faces(_FRAMES[1])
    assert face.landmarks is not None
    np.testing.assert_allclose(face.landmarks.points, bright_stage.frame(_FRAMES[1]).faces[0].mesh.points, atol=6e-4)


def test_data_are_channels(delivered: Delivered, bright_stage: Stage) -> None:
    found, header = _read(delivered.tracks.parent / "data" / f"data.{_FRAMES[1]}.exr")
    frame = bright_stage.frame(_FRAMES[1])
    planes = dict(zip(header.channelnames, found.transpose(2, 0, 1), strict=True))
    assert found.dtype == np.float32
    assert set(planes) == {"Z", "map.u", "map.v", "motion.x", "motion.y", "label"}
    np.testing.assert_array_equal(planes["Z"], frame.depth.numpy())
    np.testing.assert_array_equal(np.stack([planes["map.u"], planes["map.v"]]), frame.uv.numpy())
    np.testing.assert_array_equal(np.stack([planes["motion.x"], planes["motion.y"]]), frame.motion.numpy())
    np.testing.assert_array_equal(planes["label"], frame.labels.numpy())
    assert (delivered.tracks.parent / "data" / f"data.{_FRAMES[1]}.npz").is_file()


def test_the_same_shot_is_the_same_files(delivered: Delivered, bright_spec: ShotSpec, tmp_path: Path) -> None:
    again = deliver(bright_spec, tmp_path, width=128, height=72, frames=_FRAMES[:1], layout="exr", still_px=128)
    one, other = (Path(str(pattern) % _FRAMES[0]).read_bytes() for pattern in (delivered.plate, again.plate))
    assert one == other


def test_a_folder_that_is_a_file_is_an_error(bright_spec: ShotSpec, tmp_path: Path) -> None:
    (tmp_path / "plate").write_text("")
    with pytest.raises(MediaError, match=r"cannot make the folder .*plate"):
        deliver(bright_spec, tmp_path, width=64, height=36, frames=[1001], layout="exr")


def test_a_name_that_is_taken_by_a_folder_is_an_error(bright_spec: ShotSpec, tmp_path: Path) -> None:
    (tmp_path / "plate" / "plate.1001.exr").mkdir(parents=True)
    with pytest.raises(MediaError, match=r"cannot write .*plate\.1001\.exr"):
        deliver(bright_spec, tmp_path, width=64, height=36, frames=[1001], layout="exr")
    assert list((tmp_path / "plate").glob(".*")) == []


def test_the_command_writes_sequences(tiny_spec: Callable[..., ShotSpec], tmp_path: Path) -> None:
    spec = tmp_path / "tiny.json"
    spec.write_text(tiny_spec().model_dump_json(), encoding="utf-8")
    words = ["shot", "--spec", str(spec), "--size", "64x36", "--frames", "1007", "--layout", "exr"]
    result = CliRunner().invoke(app, [*words, "--still-px", "128", "--out", str(tmp_path / "shot")])
    assert result.exit_code == 0, result.output
    assert "1 frames: " in result.output
    assert (tmp_path / "shot" / "plate" / "plate.1007.exr").is_file()
    assert (tmp_path / "shot" / "truth" / "truth.1007.exr").is_file()


def test_a_sequence_in_acescg_shows_the_same_light(bright_spec: ShotSpec, tmp_path: Path) -> None:
    for layout in SEQUENCES:
        out = tmp_path / layout
        deliver(bright_spec, out, width=128, height=72, frames=_FRAMES[:1], layout=layout, still_px=128)
    name = f"plate/plate.{_FRAMES[0]}.exr"
    (wide, header), (plain, _) = _read(tmp_path / "exr-acescg" / name), _read(tmp_path / "exr" / name)
    assert header.get_string_attribute("oiio:ColorSpace") == "lin_ap1_scene"
    # OpenColorIO's matrix of "Linear Rec.709 (sRGB)" to ACEScg
    matrix = np.array([[0.613097, 0.339523, 0.047379], [0.070194, 0.916354, 0.013452], [0.020616, 0.10957, 0.869815]])
    expected = np.stack([plain[..., i] for i in range(3)], axis=-1).astype(np.float64) @ matrix.T
    np.testing.assert_allclose(wide[..., :3].astype(np.float64), expected, rtol=2e-3, atol=1e-4)
