"""A plugin for tests that keeps what each finished frame was made of, as a studio's tracker would."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from vfxswap.frame import Frame
from vfxswap.hookspecs import hookimpl


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that it was written for."""
    return (1, 0)


@hookimpl
def vfxswap_frame_done(frame: Frame) -> None:
    """Writes the mattes and similarities of the faces that were put in, where `WATCH_FOLDER` names a folder."""
    folder = os.environ.get("WATCH_FOLDER")
    if folder is None:
        return
    faces = [face for face in frame.faces if face.swapped is not None and face.matte is not None]
    layers: dict[str, object] = {"identities": np.array([str(face.identity) for face in faces])}
    for place, face in enumerate(faces):
        layers[f"matte{place}"] = None if face.matte is None else face.matte[0].numpy()
        layers[f"plate_to_crop{place}"] = face.plate_to_crop
    np.savez(Path(folder) / f"{frame.number:04d}.npz", **layers)  # type: ignore[arg-type]
