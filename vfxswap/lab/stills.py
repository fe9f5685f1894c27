"""An identity's folder for a performer: stills with exact points, and a consent record.

A performer of the lab is nobody, so consent is a formality; the record is there because a pipeline demands one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from vfxswap.conveyor import parallel
from vfxswap.errors import MediaError
from vfxswap.files import make_folder, whole
from vfxswap.frame import Detection
from vfxswap.geometry import Pose
from vfxswap.lab.camera import Camera, View
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.expression import Expression
from vfxswap.lab.film import jitter
from vfxswap.lab.landmarks import FaceTruth, face_truth
from vfxswap.lab.light import RIGS
from vfxswap.lab.looks import Looks
from vfxswap.lab.performer import Detail, Stance, make_performer
from vfxswap.lab.render import Instant, draw, light_scene
from vfxswap.lab.scene import Scene, make_scene
from vfxswap.trackfile import sidecar, write_tracks
from vfxswap.workers import cores, worker_pool

STILLS: tuple[Stance, ...] = (
    Stance(),
    Stance(Pose(-24.0, 0.0, 0.0)),
    Stance(Pose(24.0, 0.0, 0.0)),
    Stance(Pose(-45.0, 0.0, 0.0)),
    Stance(Pose(45.0, 0.0, 0.0)),
    Stance(Pose(0.0, 12.0, 0.0)),
    Stance(Pose(0.0, -12.0, 0.0)),
    Stance(Pose(-12.0, 6.0, 0.0), expression=Expression(smile=0.8, squint=0.4)),
    Stance(Pose(12.0, 6.0, 0.0), expression=Expression(jaw=0.6)),
    Stance(expression=Expression(jaw=0.3, pucker=0.7)),
    Stance(expression=Expression(blink_left=1.0, blink_right=1.0)),
)
"""Poses and expressions of an identity's stills, the neutral one first."""

_SAMPLES = 5

_IDENTITY = """\
name = "{title}"
licence = "CC0-1.0"

[consent]
performer = "{title}"
grantor = "vfxswap lab"
productions = ["lab"]
purposes = ["test", "double", "train"]
from = 2020-01-01
until = 2099-12-31
scope = "A procedural performer: nobody's likeness. For tests and demonstrations."
"""


def write_identity(looks: Looks, folder: Path, *, size: int = 640) -> tuple[Path, ...]:
    """Writes an identity's folder: `still01.png` ..., their points, and `identity.toml`.

    Args:
        looks: Who.
        folder: Made if it is not there.
        size: Side of the square stills in pixels.

    Returns:
        The stills.

    Raises:
        MediaError: A file cannot be written.
    """
    make_folder(folder)
    paths = []
    for number, (picture, face) in enumerate(rendered(looks, size=size), 1):
        path = folder / f"still{number:02d}.png"
        write_png(path, srgb_encoded(picture))
        found = Detection(face.box, 1.0, face.mesh.five(), face.track, face.mesh)
        write_tracks(sidecar(path), {1: [found]}, width=size, height=size)
        paths.append(path)
    write_record(looks, folder)
    return tuple(paths)


def write_record(looks: Looks, folder: Path) -> Path:
    """Writes a performer's `identity.toml` alone, into a folder that is there.

    Raises:
        MediaError: It cannot be written.
    """
    title = looks.title.replace("\\", "\\\\").replace('"', '\\"')
    with whole(folder / "identity.toml") as temporary:
        temporary.write_text(_IDENTITY.format(title=title), encoding="utf-8")
    return folder / "identity.toml"


def rendered(looks: Looks, *, size: int) -> Iterator[tuple[Tensor, FaceTruth]]:
    """The stills of `STILLS`, `(3, size, size)` scene-linear, in neutral light before grey, with their landmarks."""
    camera = Camera(focal_mm=60.0)
    with torch.inference_mode():
        performer = make_performer(looks, Detail.for_scale(camera.px_per_cm(size)))
        scene = make_scene([performer], [], swapped=[True])
    view = View(camera, size, size)

    def still(stance: Stance) -> tuple[Tensor, FaceTruth]:
        with torch.inference_mode():
            picture, depth = _drawn(scene, stance, view)
            return picture, face_truth(0, performer, stance, view, depth)

    with worker_pool(cores()) as pool:
        yield from parallel(pool, still, iter(STILLS), ahead=cores() + 1)


def _drawn(scene: Scene, stance: Stance, view: View) -> tuple[Tensor, Tensor]:
    """`(3, H, W)` a still, and `(H, W)` its depth."""
    instant = Instant((stance,), (0.0, 0.0, 0.0), RIGS["overcast"])
    room = torch.full((3, round(view.height * 1.2), round(view.width * 1.2)), 0.18)
    light = light_scene(scene, instant, view.position, shadows=True)
    pictures = [draw(scene, instant, replace(view, offset=jitter(k)), light, room).image for k in range(_SAMPLES)]
    return torch.stack(pictures).mean(0).permute(2, 0, 1), draw(scene, instant, view, light, room).depth


def write_png(path: Path, picture: Tensor, *, bits: int = 8) -> None:
    """Writes code values `(3 or 1, H, W)` 0..1 as PNG of 8 or 16 bits.

    Raises:
        MediaError: The file cannot be written.
    """
    top = 2**bits - 1
    words = (picture.clamp(0, 1) * top).round().permute(1, 2, 0).numpy()
    words = np.ascontiguousarray(words[..., ::-1].astype(np.uint8 if bits == 8 else np.uint16))
    done, coded = cv2.imencode(".png", words)
    if not done:
        raise MediaError(f"{path}: this picture of {words.shape} cannot be stored as PNG", path=path)
    with whole(path) as temporary:
        temporary.write_bytes(coded.tobytes())
