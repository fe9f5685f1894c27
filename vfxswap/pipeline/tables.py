"""The tables of a pipeline file as strict records: what may stand in [shot], [identities.NAME] and [delivery].

The keys of a stage are that stage's own `Options`, those of a delivery its writer's; here is what every pipeline has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from vfxswap.clock import check_frames, parse_rate
from vfxswap.errors import UsageError
from vfxswap.layers import LAYERS, LayerName, Storing
from vfxswap.pipeline.colour import DEFAULT_FACE, MOVIE_SPACES
from vfxswap.stage import InputPath, PipelinePath


def _as_text(value: object) -> object:
    """One frame, or a rate, may be written as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _frame_range(text: str) -> str:
    try:
        check_frames(text)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return text


def _rate(text: str) -> str:
    try:
        parse_rate(text)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return text


def _plate_or_timeline(schema: dict[str, Any]) -> None:
    """A timeline's clip may say the plate; by then it stands in the table."""
    schema["required"] = [name for name in schema["required"] if name != "plate"]
    schema["anyOf"] = [{"required": ["plate"]}, {"required": ["timeline"]}]


def _config_source(value: object, info: ValidationInfo) -> object:
    """A built-in configuration's name as it is; a path relative to the pipeline file."""
    folder = (info.context or {}).get("folder")
    if not isinstance(value, str) or value.startswith("ocio://") or folder is None:
        return value
    return str(Path(folder) / value)


def _ascending(cuts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(cuts)))


class Table(BaseModel):
    """Base of the tables: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Shot(Table):
    """`[shot]`: the plate, what is known of it, and for whom it is."""

    model_config = ConfigDict(json_schema_extra=_plate_or_timeline)

    plate: PipelinePath = Field(
        description="The movie, picture or image sequence to work on, relative to the"
        " pipeline file; a sequence as `plate.%04d.exr`, `plate.####.exr`, `plate.@@@@.exr` or `plate.$F4.exr`."
        " Demanded, unless a timeline's clip says it; stated beside one, it stands in for the clip's own media."
    )
    timeline: PipelinePath | None = Field(
        default=None,
        description="A cut (.otio) whose clip is worked on: it says the plate, and the frames that the cut shows.",
    )
    clip: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the clip in the timeline, `NAME#2` for the second of one name; may be left out where there"
        " is but one. It stands in for `{clip}` anywhere in the file, as in `out/{clip}.####.exr`, with or without a"
        " timeline.",
    )
    media: str | None = Field(
        default=None,
        min_length=1,
        description="Which of the clip's media references is the plate, by its key; by default the active one.",
    )
    frames: Annotated[str, BeforeValidator(_as_text), AfterValidator(_frame_range)] | None = Field(
        default=None,
        description='Frames to write, as `"1001-1100"`, `"1001-1100x2"` or `"1001,1005-1010"`, or by timecode, as'
        ' `"01:00:00:00-01:00:04:00"` (`;` before the frames for drop-frame); both ends included. What the timeline\'s'
        " clip shows if left out, else all of the plate. A movie's first frame is 1.",
    )
    handles: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0,
        description="Frames to write beyond `frames`, or beyond the clip's cut, on each side, as far as there are any;"
        " the report says where there are less. What `--frames` says is written as it is, without handles.",
    )
    rate: Annotated[str, BeforeValidator(_as_text), AfterValidator(_rate)] | None = Field(
        default=None,
        description='Frames a second of a sequence that does not say it, as `24`, `23.976` or `"24000/1001"`; goes into'
        " the delivery's headers. Refused where the plate itself says another.",
    )
    layer: str | None = Field(
        default=None,
        min_length=1,
        description="Which picture of the plate's EXR files is worked on: a layer, a view or a part, by a name that"
        " `vfxswap probe` lists. By default R, G and B of the first part that has them. All others are carried along.",
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
    color_space: str | None = Field(
        default=None,
        min_length=1,
        description="What the plate's numbers mean. Wins over what the file says; demanded where it says nothing, as"
        f" nothing is guessed. A movie's colours ({', '.join(MOVIE_SPACES)}), or any colour space, alias or role of"
        " `color_config`, such as `ACEScg` or `ARRI LogC4`.",
    )
    ycbcr_matrix: Literal["bt709", "bt601", "bt2020"] | None = Field(
        default=None,
        description="With which matrix a movie's Y'CbCr was made, where it does not say it and `color_space` is one of"
        " `color_config`, as a camera's log. Wins over the stream's own.",
    )
    color_config: Annotated[str, BeforeValidator(_config_source)] | None = Field(
        default=None,
        min_length=1,
        description="The OpenColorIO configuration: a path relative to the pipeline file, or `ocio://NAME` for a"
        " built-in one. By default `$OCIO`, else `ocio://studio-config-v4.0.0_aces-v2.0_ocio-v2.5`.",
    )
    face_space: str = Field(
        default=DEFAULT_FACE,
        min_length=1,
        description="The colour space in which stages see faces, 0..1: one of `color_config` that holds pictures as"
        " a display shows them.",
    )
    on_missing: Literal["pass", "fail"] = Field(
        default="pass",
        description="A frame in which an identity finds no face: pass it through as it is, with a note in the report,"
        " or fail.",
    )
    cuts: Annotated[
        Literal["auto"] | Annotated[tuple[int, ...], AfterValidator(_ascending)] | PipelinePath,
        Field(union_mode="left_to_right"),
    ] = Field(
        default="auto",
        description="Frames at which a new shot starts, over which nothing is smoothed: found by the host; a list of"
        " frame numbers (an empty list: there are none); or a file that says them, relative to the pipeline file: the"
        " edit that the plate shows (.otio), a list of scenes as PySceneDetect writes it (.csv), or text with frame"
        " numbers or timecodes.",
    )
    analysis: PipelinePath | None = Field(
        default=None,
        description="The file that keeps what is found in the plate (cuts, faces, tracks, landmarks), so that it is not"
        " found again; a run makes and extends it. By default `NAME.analysis.npz` beside the pipeline file (with a"
        " clip `NAME.CLIP.analysis.npz`), which `vfxswap analyze` alone makes. Changes no result.",
    )
    edits: PipelinePath | None = Field(
        default=None,
        description="The file with artists' edits of what was found, as `vfxswap tracks edit` writes it. By default"
        " `NAME.edits.json` beside the pipeline file (with a clip `NAME.CLIP.edits.json`), where there is one.",
    )

    @property
    def given_cuts(self) -> tuple[int, ...] | None:
        """Where a new shot starts, as far as it is said; None where the host is to find it."""
        return self.cuts if isinstance(self.cuts, tuple) else None


class FaceRule(Table):
    """`face` of an identity: which face of the plate becomes it."""

    by: Literal["size", "left", "top", "order", "track", "like"] = Field(
        default="size",
        description="How faces are ranked: the largest first, from the left, from the top, in the detector's order, by"
        " the number of the track, or by likeness to `still`. With a tracker, tracks are ranked, once for each piece"
        " between cuts, and compared with the still by several faces; without one, the faces of each frame.",
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
    timeline: PipelinePath | None = Field(
        default=None,
        description="A timeline (.otio) to write when the shot is whole: the cut of [shot] timeline, with the result as"
        " the clip's active media reference `vfxswap` beside the plate's, which stays as it is. Shots of one cut that"
        " are finished at different times, also by several machines, are all in it.",
    )
    layers: tuple[LayerName, ...] = Field(
        default=(),
        description="Extra pictures by which the join can be done again elsewhere: "
        + "; ".join(f"`{name}`, {kind.summary}" for name, kind in LAYERS.items())
        + ".",
    )
    layers_as: Storing = Field(
        default="files",
        description="Where layers are stored: an EXR sequence for each beside the delivery (`sh010_matte.####.exr`), or"
        " within an EXR delivery as more channels (`vfxswap_matte.A`) or more parts.",
    )
