"""What the benchmarks work on: a 1080p clip, an identity, pipelines. Made once, kept under `benchmarks/.cache`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import vfxswap
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.shot import PRESETS
from vfxswap.lab.stills import write_identity
from vfxswap.models import ModelStore
from vfxswap.report import Report

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
SHARED = Path(os.environ.get("VFXSWAP_SHARED", HERE.parent.parent / "shared"))
FRAMES = 120
SIZE = (1920, 1080)
QUALITY = 20
"""Constant rate factor of all H.264 that is written."""

_MODELS = ("yunet", "facemesh")
_FILMED = "tfjs_facemesh_input_1080x720.mp4"
_FILMED_AS = (
    "scale=1620:1080:flags=lanczos:in_color_matrix=bt601:out_color_matrix=bt709,pad=1920:1080:150:0,"
    "fillborders=150:150:0:0:mirror,noise=alls=3:allf=t"
)
_LAB_FRAMES = 8
_LAB_AS = (
    "scale=1920:1080:flags=lanczos,split[a][b];[b]reverse[r];[a][r]concat,loop=loop=-1:size={size},noise=alls=3:allf=t"
)
_CODED_AS = ["-c:v", "libx264", "-preset", "medium", "-crf", "18", "-pix_fmt", "yuv420p"]
_TAGGED = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]

Stage = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Material:
    """Where things are."""

    clip: Path
    """1920x1080 H.264, 4:2:0 of 8 bits, `FRAMES` frames."""
    says: str
    """What it shows."""
    identity: Path
    """Folder of an identity."""
    host: Host
    """All plugins, and those of the benchmarks."""
    missing: tuple[str, ...]
    """Models that are not on this machine."""

    def pipeline(self, name: str, stages: Sequence[Stage], *, plate: Path | None = None, preset: str) -> Path:
        """Writes a pipeline file; its delivery lies beside it."""
        tables = {"shot": {"plate": str(plate or self.clip), "production": "lab"}}
        if stages:
            tables["identities.hero"] = {"path": str(self.identity)}
        lines = [line for table, values in tables.items() for line in (f"[{table}]", *_assigned(values))]
        lines += [line for stage in stages for line in ("[[stages]]", *_assigned(stage))]
        delivery = {"path": f"{name}.mp4", "codec": "h264", "preset": preset, "quality": QUALITY}
        path = CACHE / f"{name}.toml"
        path.write_text("\n".join([*lines, "[delivery]", *_assigned(delivery), ""]), encoding="utf-8")
        return path

    def run(self, pipeline: Path, *, frames: str | None = None) -> Report:
        """Runs it, whatever is there already."""
        return vfxswap.run(pipeline, overwrite=True, host=self.host, frames=frames)


def material() -> Material:
    """Makes what is not there yet."""
    CACHE.mkdir(exist_ok=True)
    if "VFXSWAP_MODEL_PATH" not in os.environ and (SHARED / "models").is_dir():
        os.environ["VFXSWAP_MODEL_PATH"] = str(SHARED / "models")
    clip, says = _clip()
    identity = CACHE / "identity"
    if not (identity / "identity.toml").is_file():
        write_identity(PERFORMERS["chi"], identity)
    host = Host(plugin_path=[HERE / "speed_plugins"])
    store = ModelStore.from_environment(host.model_cards())
    return Material(clip, says, identity, host, tuple(name for name in _MODELS if store.find(name) is None))


def ffmpeg(*arguments: object) -> None:
    """Runs the program; its errors end the benchmarks."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *(str(argument) for argument in arguments)]
    subprocess.run(command, check=True)


def repeated(clip: Path, frames: int, *, width: int, height: int) -> Path:
    """A small copy of a clip, over and over."""
    path = CACHE / f"repeated_{frames}_{width}x{height}.mp4"
    if not path.is_file():
        scaled = ("-vf", f"scale={width}:{height}", "-frames:v", frames, *_CODED_AS, *_TAGGED)
        ffmpeg("-stream_loop", "-1", "-i", clip, *scaled, path)
    return path


def _clip() -> tuple[Path, str]:
    """Filmed footage where it is at hand, else the lab's."""
    filmed = SHARED / "clips" / _FILMED
    if filmed.is_file():
        says = "filmed, a close-up (enlarged 1.5 times, its sides mirrored, with noise of its own in each frame)"
        return _made("filmed.mp4", filmed, _FILMED_AS), says
    folder = CACHE / "lab"
    if not (folder / "plate.mkv").is_file():
        deliver(PRESETS["demo"], folder, width=1280, height=720, frames=range(1001, 1001 + _LAB_FRAMES), still_px=256)
    says = f"{_LAB_FRAMES} frames of the lab, forth and back, enlarged 1.5 times, with noise of its own in each frame"
    return _made("lab.mp4", folder / "plate.mkv", _LAB_AS.format(size=2 * _LAB_FRAMES)), says


def _made(name: str, source: Path, filters: str) -> Path:
    path = CACHE / name
    if not path.is_file():
        ffmpeg("-i", source, "-an", "-vf", filters, "-frames:v", FRAMES, *_CODED_AS, *_TAGGED, path)
    return path


def _assigned(values: Mapping[str, object]) -> list[str]:
    """TOML lines; JSON's text, numbers, truth values and lists are TOML's too."""
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]
