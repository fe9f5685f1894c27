"""Settings of stages: what stands under `[[stages]]` in a pipeline file, strictly read.

Each kind of stage has the settings that the host itself acts on; a stage adds its own by deriving from its kind's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from vfxswap.alignment import CropSpec, TemplateName


def _from_pipeline(value: object, info: ValidationInfo) -> object:
    """Makes a relative path relative to the pipeline file, whose folder is in the validation context."""
    folder = (info.context or {}).get("folder")
    if not isinstance(value, str | Path):
        return value
    path = Path(value) if folder is None else Path(folder) / value
    # Strict validation takes a Path from Python and a string from JSON, in which a pipeline file's tables are given.
    return str(path) if info.mode == "json" else path


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ValueError(f"there is no file or folder {path}")
    return path


PipelinePath = Annotated[Path, BeforeValidator(_from_pipeline)]
"""A path in a pipeline file, relative to that file."""
InputPath = Annotated[Path, BeforeValidator(_from_pipeline), AfterValidator(_existing)]
"""The same, and it must exist."""


class StageOptions(BaseModel):
    """Base of a stage's settings: unknown keys are refused, bounds and units stand in each field's description."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class AlignerOptions(StageOptions):
    """Settings of every aligner."""

    template: TemplateName = Field(
        "ffhq_512", description="Face template that the landmarks are laid onto; dfl68_* need 68 points or more."
    )
    crop_size: int = Field(512, ge=32, le=2048, description="Side of the crops that later stages see, in pixels.")
    zoom: float = Field(1.0, gt=0.2, le=3.0, description="Above 1 crops tighter around the face, below 1 wider.")

    @property
    def crop(self) -> CropSpec:
        """The crop that these settings ask for."""
        return CropSpec(self.template, self.crop_size, self.zoom)


class SwapperOptions(StageOptions):
    """Settings of every swapper."""

    identity: str = Field(description="Who is put in: a name under [identities].")


class MatteOptions(StageOptions):
    """Settings of every matte stage."""

    combine: Literal["multiply", "min", "max", "replace"] = Field(
        "multiply", description="How it joins the matte that is there: product, smaller, larger, or in its place."
    )


class ColorMatchOptions(StageOptions):
    """Settings of every colour match."""

    strength: float = Field(1.0, ge=0, le=1, description="0 leaves the colours, 1 matches them wholly.")
    lock: Literal["frame", "shot"] = Field(
        "frame", description="Match each frame for itself, or the whole shot by one map from frames spread over it."
    )
    lock_frames: int = Field(9, ge=1, le=99, description="Frames looked at for lock = 'shot'.")
    openings: float = Field(
        1.0,
        ge=0,
        le=1,
        description="How far eyes and teeth take the plate's light alone, as its own eyes and teeth show it, and not "
        "the map of the skin; 0 maps them as if they were skin. Wants dense landmarks.",
    )
