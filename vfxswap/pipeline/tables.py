"""The tables of a pipeline file as strict records: what may stand in [shot], [identities.NAME] and [delivery].

The keys of a stage are that stage's own `Options`, those of a delivery its writer's; here is what every pipeline has.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from vfxswap.clock import FrameRange
from vfxswap.color import SPACES
from vfxswap.errors import UsageError
from vfxswap.stage import InputPath, PipelinePath


def _as_text(value: object) -> object:
    """One frame may be written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _frame_range(text: str) -> str:
    try:
        FrameRange.parse(text)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return text


def _known_space(name: str) -> str:
    if name not in SPACES:
        raise PydanticCustomError("unknown_name", "is not a known colour space")
    return name


def _ascending(cuts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(cuts)))


class Table(BaseModel):
    """Base of the tables: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Shot(Table):
    """`[shot]`: the plate, what is known of it, and for whom it is."""

    plate: PipelinePath = Field(
        description="The movie, picture or image sequence to work on, relative to the"
        " pipeline file; a sequence as `plate.%04d.exr`, `plate.####.exr`, `plate.@@@@.exr` or `plate.$F4.exr`."
    )
    frames: Annotated[str, BeforeValidator(_as_text), AfterValidator(_frame_range)] | None = Field(
        default=None,
        description='Frames to write, as `"1001-1100"`, `"1001-1100x2"` or `"1001,1005-1010"`, both ends included;'
        " all of the plate if left out. A movie's first frame is 1.",
    )
    on_hole: Literal["fail", "skip"] = Field(
        default="fail",
        description="A frame that is missing in an image sequence: nothing is done, and all are listed before the"
        " start, or the frame is missing in the delivery too. Frames are never renumbered.",
    )
    production: str | None = Field(
        default=None,
        min_length=1,
        description="For which production this is; must be in the consent of each identity. Demanded where a face is"
        " put in.",
    )
    purpose: str | None = Field(
        default=None,
        min_length=1,
        description="What it is for (double, de-age, dub, test ...); must be in each consent, if said.",
    )
    paid_work: bool = Field(
        default=False,
        description="Whether this is paid work: a model that is not known to be allowed in it is refused then, by its"
        " card, its sidecar or identity.toml.",
    )
    color_space: Annotated[str, AfterValidator(_known_space)] | None = Field(
        default=None,
        description="What the plate's numbers mean. Wins over the tags in the file; demanded where these are missing,"
        " as nothing is guessed.",
        json_schema_extra={"enum": list(SPACES)},
    )
    face_space: Literal["sRGB - Texture"] = Field(
        default="sRGB - Texture", description="The colour space in which stages see faces, 0..1."
    )
    on_missing: Literal["pass", "fail"] = Field(
        default="pass",
        description="A frame in which an identity finds no face: pass it through as it is, with a note in the report,"
        " or fail.",
    )
    cuts: Literal["auto"] | Annotated[tuple[int, ...], AfterValidator(_ascending)] = Field(
        default="auto",
        description="Frames at which a new shot starts, over which nothing is smoothed: found by the host, or a list of"
        " frame numbers (an empty list: there are none).",
    )


class FaceRule(Table):
    """`face` of an identity: which face of the plate becomes it."""

    by: Literal["size", "left", "top", "order", "track", "like"] = Field(
        default="size",
        description="How the faces of a frame are ranked: the largest first, from the left, from the top, in the"
        " detector's order, by the detector's track number, or by likeness to `still`.",
    )
    rank: int = Field(
        default=1,
        ge=0,
        description='Which of them, counted from 1; with `by = "track"` the number of the track.',
    )
    still: InputPath | None = Field(
        default=None,
        description='A picture of the person in the plate, relative to the pipeline file; only with `by = "like"`.',
    )

    @model_validator(mode="after")
    def _fits(self) -> FaceRule:
        if self.by == "like" and self.still is None:
            raise ValueError('by = "like" needs still = "a picture of the person in the plate"')
        if self.by != "like" and self.still is not None:
            raise ValueError('still goes with by = "like" only')
        if self.by != "track" and self.rank < 1:
            raise ValueError("rank counts from 1")
        return self

    def __str__(self) -> str:
        words = {
            "size": "by size",
            "left": "from the left",
            "top": "from the top",
            "order": "in the detector's order",
            "track": "by track",
            "like": f"like {self.still.name if self.still else ''}",
        }
        return f"{words[self.by]}, {'number' if self.by == 'track' else 'rank'} {self.rank}"


class IdentityEntry(Table):
    """`[identities.NAME]`: who is put in, and in whose place."""

    path: PipelinePath = Field(
        description="The identity's folder, with identity.toml and stills or weights, relative to the pipeline file."
    )
    face: FaceRule = Field(
        default=FaceRule(), description='Which face of the plate becomes it, as `face = {by = "left", rank = 2}`.'
    )


class Delivery(Table):
    """`[delivery]`: where the result goes; every other key is the writer's own option."""

    path: PipelinePath = Field(
        description="The file to write, relative to the pipeline file; its suffix says the format. An image sequence as"
        " `out.%04d.exr`, `out.####.exr`, `out.@@@@.exr` or `out.$F4.exr`, numbered as the plate is."
    )
    layers: tuple[str, ...] = Field(
        default=(), description="Extra images beside the result, where the writer can hold them."
    )
