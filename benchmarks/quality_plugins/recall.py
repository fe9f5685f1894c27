"""Faces from a folder or a movie in place of a swapper, so that what comes after it is compared on the same faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from vfxswap.errors import VfxswapError
from vfxswap.frame import FaceBatch, Frame
from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.host import Host
from vfxswap.identity import Identity
from vfxswap.ops.warp import cut
from vfxswap.options import InputPath, SwapperOptions
from vfxswap.score.sources import Movie
from vfxswap.stage import Stage, StageOptions, Swapped, Swapper, Window


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that this is written for."""
    return (1, 0)


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """What stands for a swapper."""
    return [
        StageOffer("keep", "stage", ":Keep", "keeps swapped faces in a folder", "Apache-2.0"),
        StageOffer("recall", "swapper", ":Recall", "puts kept faces in again", "Apache-2.0"),
        StageOffer("true-face", "swapper", ":TrueFace", "the lab's own truth", "Apache-2.0"),
    ]


class KeepOptions(StageOptions):
    """Settings of `keep`."""

    folder: str = Field(description="Where faces are kept, one a frame; made if it is not there.")


class Keep(Stage[KeepOptions]):
    """Writes the first swapped face of each frame as half floats."""

    Options = KeepOptions
    needs = frozenset({"swapped", "matte"})

    def open(self) -> None:
        """Makes the folder."""
        Path(self.options.folder).mkdir(parents=True, exist_ok=True)

    def process(self, window: Window) -> Frame:
        """Keeps a frame's face, and hands the frame on as it is."""
        frame = window.frame
        for face in frame.faces:
            if face.swapped is not None and face.matte is not None:
                pictures = torch.cat([face.swapped, face.matte]).cpu().numpy().astype(np.float16)
                np.save(Path(self.options.folder) / f"{frame.number}.npy", pictures, allow_pickle=False)
                break
        return frame


class RecallOptions(SwapperOptions):
    """Settings of `recall`."""

    folder: InputPath = Field(description="Folder that `keep` has filled.")


class Recall(Swapper[RecallOptions]):
    """Reads what `keep` has written."""

    Options = RecallOptions

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:  # noqa: ARG002 - they were swapped before
        """The kept faces of the frames asked for."""
        pictures = torch.stack([self._kept(number) for number in faces.frames]).to(faces.crops)
        return Swapped(pictures[:, :3], pictures[:, 3:])

    def _kept(self, number: int) -> torch.Tensor:
        path = Path(self.options.folder) / f"{number}.npy"
        if not path.is_file():
            raise VfxswapError(f"{path} is not there: no face was kept of frame {number}")
        return torch.from_numpy(np.load(path, allow_pickle=False))


class TrueFaceOptions(SwapperOptions):
    """Settings of `true-face`."""

    truth: InputPath = Field(description="A movie of the lab that shows a perfect swap, frame for frame.")


class TrueFace(Swapper[TrueFaceOptions]):
    """A swap that nothing is wrong with: what a stage does to it is harm."""

    Options = TrueFaceOptions

    def open(self) -> None:
        """Reads the movie, which is short."""
        with Movie(Path(self.options.truth), Host()) as movie:
            self._pictures = dict(zip(movie.numbers, movie.pictures(movie.numbers), strict=True))

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:  # noqa: ARG002 - the movie knows who it shows
        """The truth, cut as the plate is."""
        size_px = int(faces.crops.shape[-1])
        crops = [
            cut(self._pictures[number], origin=(0, 0), plate_to_crop=place, size_px=size_px)
            for number, place in zip(faces.frames, faces.plate_to_crop, strict=True)
        ]
        return Swapped(torch.stack(crops).to(faces.crops), torch.ones_like(faces.crops[:, :1]))
