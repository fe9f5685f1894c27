"""Looking at an identity's stills with the pipeline's own detector and aligner.

Points of a still and of the plate must come from the same eyes: so the stages that look at the plate look at the stills
too, unless a still carries its points in a sidecar file, made by hand or by whoever rendered it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vfxswap.color import ConfigSpace
from vfxswap.crops import PlateCutter, View, small_picture
from vfxswap.errors import MediaError
from vfxswap.frame import Detection, Frame, Picture
from vfxswap.geometry import Box, Landmarks
from vfxswap.host import Host
from vfxswap.identity import Portrait
from vfxswap.ops import ycbcr
from vfxswap.pipeline.colour import FILE_ID, ColorNames
from vfxswap.stage import Aligner, Detector
from vfxswap.trackfile import read_tracks, sidecar


@dataclass(frozen=True, slots=True)
class Eyes:
    """The stages that look at stills."""

    host: Host
    detector: Detector[Any] | None
    aligner: Aligner[Any]
    device: torch.device
    names: ColorNames
    """Of colour spaces."""
    face: ConfigSpace | None
    """What stages see; None is "sRGB - Texture"."""


def look_at(path: Path, color_space: str, eyes: Eyes) -> Portrait:
    """Finds the face of a still.

    Args:
        path: The still; its sidecar of points, where there is one, stands in for the detector.
        color_space: What the still's R'G'B' values mean, where it is not a scene-linear file that says it itself.
        eyes: The pipeline's own detector and aligner.

    Raises:
        MediaError: The still cannot be read, shows no face, or nothing can find one in it.
    """
    with eyes.host.reader_for(path)(path) as reader:
        frame = next(iter(reader.frames(1, 1)))
        info = reader.info
        tags = eyes.names.of_still(info.tags, color_space, file_id=info.metadata.get(FILE_ID), path=path)
        view = View(tags, info.rotation, eyes.device, eyes.face)
    detection = _detection(path, frame, view, eyes.detector)
    (landmarks,) = eyes.aligner.align([detection], PlateCutter([frame], view))
    if landmarks is None:
        raise MediaError(
            f"no face can be aligned in the still {path}; take another, or give it a points file", path=path
        )
    return _portrait(path, frame.plate, view, landmarks)


def _detection(path: Path, frame: Frame, view: View, detector: Detector[Any] | None) -> Detection:
    points = sidecar(path)
    if points.is_file():
        faces = read_tracks(points).faces(1)
        if not faces:
            raise MediaError(f"{points} holds no face for frame 1", path=points)
        return faces[0]
    size = None if detector is None else detector.image_size()
    if detector is None or size is None:
        raise MediaError(
            f"the pipeline's detector looks at no pixels, so the still {path} needs its points in {points.name}"
            " beside it (the format of a tracks file, frame 1)",
            path=path,
        )
    found = _detect(frame.plate, view, detector, size)
    if not found:
        raise MediaError(f"no face is found in the still {path}; take another, or give it a points file", path=path)
    return max(found, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))


def _detect(picture: Picture, view: View, detector: Detector[Any], size: tuple[int, int]) -> Sequence[Detection]:
    """Detects in the still, fitted into the detector's picture without distorting it; the rest is black."""
    width, height = view.upright_size(picture)
    scale = min(size[0] / width, size[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = torch.zeros(1, 3, size[1], size[0], device=view.device)
    image[0, :, : inner[1], : inner[0]] = small_picture(picture, view, inner).to(view.device)
    return [found.scaled(width / inner[0], height / inner[1]) for found in detector.detect(image, [1])[0]]


def _portrait(path: Path, picture: Picture, view: View, landmarks: Landmarks) -> Portrait:
    """The still as the stages see it, upright."""
    whole = Box(0, 0, picture.width, picture.height)
    rgb = ycbcr.to_rgb(picture.planes, picture.layout, view.tags, whole, device=view.device)
    upright = torch.rot90(view.space.to_face(rgb), k=-(view.rotation // 90), dims=(1, 2)).contiguous()
    return Portrait(path=path, image=upright, landmarks=landmarks)
