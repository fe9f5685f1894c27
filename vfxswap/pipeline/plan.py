"""A pipeline file that was found right: all that a run needs to know, settled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vfxswap.analysis import Edits
from vfxswap.clock import FrameRange
from vfxswap.color import ColorTags, ConfigSpace
from vfxswap.identity import Identity
from vfxswap.layers import LayerOrder
from vfxswap.media import DeliveryOptions, PlateInfo, Reader, Writer
from vfxswap.modelfile import ModelFile
from vfxswap.models import ModelStore
from vfxswap.pipeline.colour import ColorNames
from vfxswap.pipeline.frames import Edit
from vfxswap.pipeline.tables import FaceRule, Shot
from vfxswap.stage import Stage, StageOptions

_UNFIT = re.compile(r"[^\w.#-]+")
"""What a clip's name may have and a file's should not."""


def stage_label(index: int, name: str | None) -> str:
    """How messages name a stage: its place, counted from 0 as in `--set stages.3.strength`, and its name."""
    return f"stages[{index}] ({name})" if name else f"stages[{index}]"


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One stage of a pipeline, with its settings."""

    index: int
    """Its place in the file, counted from 0."""
    name: str
    """As the file has it after `use =`."""
    cls: type[Stage[Any]]
    options: StageOptions
    owner: str
    """Plugin and distribution that it comes from."""
    models: tuple[str, ...] = ()
    """Names of the models that it loads; all are in the store."""
    files: tuple[ModelFile, ...] = ()
    """Model files that it loads beside those, such as an identity's weights."""

    @property
    def label(self) -> str:
        """As messages name it: `stages[3] (mkl)`."""
        return stage_label(self.index, self.name)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline file, checked against the plate, the plugins, the models and the consent records."""

    path: Path
    """The pipeline file."""
    name: str
    """Its name without the suffix."""
    text: str
    """What the file says."""
    sha256: str
    """Of the file's bytes, in hex."""
    overrides: tuple[str, ...]
    """The words of the command line that changed it, such as `--set stages.mkl.strength=0.5`."""
    shot: Shot
    plate_path: Path
    plate: PlateInfo
    colors: ColorNames
    """The names of colour spaces that hold, for what is read besides the plate."""
    face: ConfigSpace | None
    """What stages see; None is "sRGB - Texture"."""
    tags: ColorTags
    """The plate's colour, complete."""
    frames: FrameRange
    """Frames to write; all are in the plate."""
    edit: Edit
    """Where the shot stands in a cut, and how much of it is wanted."""
    reader: type[Reader]
    writer: type[Writer]
    delivery_path: Path
    writer_options: DeliveryOptions
    layers: LayerOrder
    """Extra pictures of the delivery; perhaps none."""
    identities: Mapping[str, Identity]
    """Who is put in, in the file's order; all with valid consent."""
    casting: Mapping[str, FaceRule]
    """Which face becomes whom, by identity."""
    stages: tuple[PlannedStage, ...]
    device: str
    """Where tensors are, such as `"cpu"` or `"cuda:0"`; empty where others compute, on what they have."""
    store: ModelStore
    key: str
    """Content key, a sha256 in hex: two runs with the same key make the same frames."""
    settings_key: str = ""
    """The same without the plate's files: two runs with the same one make the same of the same frames of a plate."""
    delivery_timeline: Path | None = None
    """The timeline to write the result to."""
    remarks: tuple[str, ...] = ()
    """What the report shall say of the frames, such as handles that are not there."""
    edits: Edits | None = None
    """Artists' edits of what is found; None where there are none."""

    @property
    def analysis_path(self) -> Path:
        """Where what is found is kept, there or not."""
        return self.shot.analysis or beside(self.path, self.shot, "analysis.npz")

    @property
    def edits_path(self) -> Path:
        """Where edits are kept, there or not."""
        return self.shot.edits or beside(self.path, self.shot, "edits.json")


def beside(pipeline: Path, shot: Shot, suffix: str) -> Path:
    """A file of a shot beside its pipeline file: `job.analysis.npz`; of a timeline's clip, `job.sh010.analysis.npz`."""
    clip = "" if shot.clip is None else f".{_UNFIT.sub('_', shot.clip)}"
    return pipeline.with_name(f"{pipeline.stem}{clip}.{suffix}")
