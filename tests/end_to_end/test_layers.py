"""Layers through whole pipelines: they rebuild the delivery, leave it alone, have no holes, and survive a stop."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import torch
from numpy.typing import NDArray

import vfxswap
from vfxswap import cryptomatte
from vfxswap.cli import main
from vfxswap.errors import Cancelled, PipelineError, UsageError
from vfxswap.geometry import Box
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.shot import PRESETS, Lens
from vfxswap.layers import LAYERS, LayerOrder, layer_files
from vfxswap.ops import ycbcr
from vfxswap.report import Progress, Report
from vfxswap.trackfile import read_tracks, write_tracks

pytestmark = pytest.mark.slow

SIZE = (160, 120)
FRAMES = range(1001, 1005)
FACELESS = 1003
ALL = ["matte", "patch", "st", "swapped", "id"]

_PIPELINE = """\
[shot]
plate = "plate/plate.####.exr"
production = "lab"
purpose = "test"
color_space = "Linear Rec.709 (sRGB)"

[identities.hero]
path = "identity"

[[stages]]
use = "tracks"
path = "tracks.json"

[[stages]]
use = "points5"
crop_size = 128

[[stages]]
use = "portrait"
identity = "hero"

[[stages]]
use = "hull"

[[stages]]
use = "mkl"

[[stages]]
use = "flow-deflicker"

[[stages]]
use = "{blend}"

[[stages]]
use = "grain"

[delivery]
path = "{out}/sh010.####.exr"
{more}
"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered shot, scene-linear, brighter than white; nobody saw the face in one of its frames."""
    folder = tmp_path_factory.mktemp("layers")
    spec = PRESETS["talk"].model_copy(update={"lens": Lens(samples=2, grain=0.01, exposure_stops=1.5)})
    deliver(spec, folder, width=SIZE[0], height=SIZE[1], frames=FRAMES, layout="exr", still_px=160)
    tracks = dict(read_tracks(folder / "tracks.json").frames)
    tracks[FACELESS] = ()
    write_tracks(folder / "tracks.json", tracks, width=SIZE[0], height=SIZE[1])
    return folder


@pytest.fixture
def shot(lab: Path, tmp_path: Path) -> Path:
    """A folder of its own that names the shot."""
    for name in ("identity", "tracks.json", "plate"):
        (tmp_path / name).symlink_to(lab / name)
    return tmp_path


def pipeline(shot: Path, out: str = "out", *more: str, blend: str = "pyramid") -> Path:
    path = shot / f"{out}.toml"
    path.write_text(_PIPELINE.format(out=out, more="\n".join(more), blend=blend))
    return path


def layers(*names: str) -> str:
    return f"layers = {list(names)}".replace("'", '"')


def run(path: Path, host: Host, **options: Any) -> Report:
    return vfxswap.run(path, device="cpu", host=host, **options)


def channels(path: Path) -> dict[str, NDArray[Any]]:
    """Of all parts, by OpenEXR alone."""
    file = OpenEXR.File(str(path), separate_channels=True)
    return {name: each.pixels for i in range(len(file.parts)) for name, each in file.channels(i).items()}


def rgb(found: dict[str, NDArray[Any]], prefix: str = "") -> NDArray[np.float64]:
    return np.stack([found[f"{prefix}{letter}"] for letter in "RGB"]).astype(np.float64)


def digests(folder: Path, pattern: str = "*.exr") -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob(pattern))}


@pytest.mark.parametrize("blend", ["alpha", "pyramid", "poisson"])
def test_a_compositor_gets_the_delivery_from_plate_and_patch(shot: Path, host: Host, blend: str) -> None:
    report = run(pipeline(shot, "out", layers("patch"), blend=blend), host)
    for number, path in zip(FRAMES, report.outputs, strict=True):
        plate, result = rgb(channels(shot / f"plate/plate.{number}.exr")), rgb(channels(path))
        patch = channels(shot / f"out/sh010_patch.{number}.exr")
        found = plate * (1 - patch["A"].astype(np.float64)) + rgb(patch)
        assert (np.abs(found - result) <= 2.0**-11 * np.maximum(np.abs(result), 1e-3)).all()
        assert bool(np.abs(result - plate).max() > 0.05) is (number != FACELESS)


def test_layers_leave_the_delivery_alone_and_have_no_holes(shot: Path, host: Host) -> None:
    run(pipeline(shot, "plain"), host)
    report = run(pipeline(shot, "out", layers(*ALL)), host)
    plain = digests(shot / "plain")
    assert plain == {name: value for name, value in digests(shot / "out").items() if name in plain}
    assert set(report.layers) == set(ALL)
    for name in ALL:
        files = [shot / "out" / f"sh010_{name}.{number}.exr" for number in FRAMES]
        assert list(report.layers[name]) == files
        assert [any(pixels.any() for pixels in channels(path).values()) for path in files] == [
            number != FACELESS for number in FRAMES
        ]
    assert len(list((shot / "out").iterdir())) == len(FRAMES) * (1 + len(ALL)) + 1  # and the report
    assert run(pipeline(shot, "out", layers(*ALL)), host).already_done


@pytest.mark.parametrize("stored", ["channels", "parts"])
def test_layers_within_the_delivery_are_those_of_the_files(shot: Path, host: Host, stored: str) -> None:
    run(pipeline(shot, "out", layers(*ALL)), host)
    run(pipeline(shot, "inside", layers(*ALL), f'layers_as = "{stored}"'), host)
    for number in (FRAMES[0], FACELESS):
        whole, alone = channels(shot / f"inside/sh010.{number}.exr"), channels(shot / f"out/sh010.{number}.exr")
        for name, pixels in alone.items():
            assert np.array_equal(whole.pop(name).view(np.uint16), pixels.view(np.uint16))
        for name in ALL:
            for channel, pixels in channels(shot / f"out/sh010_{name}.{number}.exr").items():
                full = channel if name == "id" else f"vfxswap_{name}.{channel}"
                assert np.array_equal(whole.pop(full), pixels)
        assert not whole
    assert len(digests(shot / "inside")) == len(FRAMES)


def test_the_cryptomatte_names_the_identity(shot: Path, host: Host) -> None:
    run(pipeline(shot, "out", layers("id", "matte")), host)
    for number in FRAMES:
        found, matte = (channels(shot / f"out/sh010_{name}.{number}.exr") for name in ("id", "matte"))
        covered = found["vfxswap_id00.G"] > 0
        assert set(np.unique(found["vfxswap_id00.R"][covered])) <= {cryptomatte.id_of("hero")}
        np.testing.assert_allclose(found["vfxswap_id00.G"], matte["A"], atol=2.0**-11)


def stopped(path: Path, host: Host, after: int) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == after:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        run(path, host, progress=stop)


def test_a_run_that_was_stopped_goes_on_with_its_layers(shot: Path, host: Host) -> None:
    run(pipeline(shot, "whole", layers(*ALL)), host)
    path = pipeline(shot, "out", layers(*ALL))
    stopped(path, host, 3)
    done = digests(shot / "out", "sh010.*.exr")
    for name in done:
        assert all((shot / "out" / name.replace("sh010.", f"sh010_{layer}.")).is_file() for layer in ALL)
    assert not [each for each in (shot / "out").iterdir() if ".tmp" in each.name]
    report = run(path, host)
    assert digests(shot / "out") == digests(shot / "whole")
    assert len(report.frames) == len(FRAMES) - len(done)
    assert all(len(files) == len(FRAMES) for files in report.layers.values())


def test_a_layers_file_that_is_missing_is_made_again_and_one_that_was_painted_is_not(shot: Path, host: Host) -> None:
    path = pipeline(shot, "out", layers("matte"))
    run(path, host)
    matte = shot / "out" / "sh010_matte.1002.exr"
    before = matte.read_bytes()
    matte.unlink()
    assert [record.frame for record in run(path, host).frames] == [1002]
    assert matte.read_bytes() == before
    matte.write_bytes(b"painted")
    with pytest.raises(UsageError, match=r"frames 1002 of .*, or files of their layers, were changed .* --overwrite"):
        run(path, host)
    assert matte.read_bytes() == b"painted"
    run(path, host, overwrite=True)
    assert matte.read_bytes() == before


def movie_rgb(path: Path, host: Host) -> list[NDArray[np.float32]]:
    """R'G'B' of all frames of a movie of the drawn shot."""
    with host.reader_for(path)(path) as reader:
        info = reader.info
        box = Box(0, 0, info.width, info.height)
        return [
            ycbcr.to_rgb(frame.plate.planes, info.layout, info.tags, box, device=torch.device("cpu")).numpy()
            for frame in reader.frames(info.first, info.last)
        ]


def test_a_movies_layers_lie_beside_it(place: Any, host: Host) -> None:
    report = run(place.pipelines / "demo.toml", host, overrides=['delivery.layers=["patch", "st"]'])
    (movie,) = report.outputs
    pairs = zip(movie_rgb(place.shot / "plate.mkv", host), movie_rgb(movie, host), strict=True)
    for number, (plate, result) in enumerate(pairs, 1):
        patch = channels(place.shot / f"demo_patch.{number:04d}.exr")
        assert (place.shot / f"demo_st.{number:04d}.exr").is_file()
        found = plate * (1 - patch["A"].astype(np.float64)) + rgb(patch)
        assert np.abs(found - result).max() < 0.25 / 255
        assert np.abs(result - plate).max() > 0.05


def test_what_is_wrong_is_said_at_once(shot: Path, host: Host) -> None:
    with pytest.raises(PipelineError, match=r'layers.*found \'mate\'.*"matte", "patch", "st", "swapped", "id"'):
        run(pipeline(shot, "out", layers("mate")), host)
    path = pipeline(shot, "out", layers("matte"))
    text = path.read_text()
    path.write_text(text[: text.index("[[stages]]")] + text[text.index("[delivery]") :])
    with pytest.raises(PipelineError, match="show what a blend puts in, and no stage does"):
        run(path, host)


def test_layers_may_not_overwrite_what_is_read(shot: Path, host: Host) -> None:
    (shot / "out").mkdir()
    for number in FRAMES:
        shutil.copy(shot / f"plate/plate.{number}.exr", shot / "out" / f"sh010_matte.{number}.exr")
    path = pipeline(shot, "out", layers("matte"))
    path.write_text(path.read_text().replace("plate/plate.####.exr", "out/sh010_matte.####.exr"))
    with pytest.raises(PipelineError, match="would overwrite the plate"):
        run(path, host)


def test_the_nuke_script_names_files_that_are_there(shot: Path, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    path = pipeline(shot, "out", layers(*ALL))
    assert main(["nuke", str(path)]) == 0
    assert "sh010.nk" in capsys.readouterr().out
    text = (shot / "out" / "sh010.nk").read_text()
    run(path, host)
    order = LayerOrder(tuple(LAYERS), "files", ("hero",))
    for pattern in layer_files(shot / "out" / "sh010.####.exr", order, frames=len(FRAMES)).values():
        assert f"/{pattern.printf.name}" in text
        assert all(pattern.path(number).is_file() for number in FRAMES)
    assert "../plate/plate.%04d.exr" in text
    assert main(["nuke", str(path)]) == 2
    assert "somebody may have worked on it" in capsys.readouterr().err
    assert main(["nuke", str(path), "--overwrite", "--absolute"]) == 0
    assert str(shot / "out" / "sh010_matte.%04d.exr") in (shot / "out" / "sh010.nk").read_text()
