"""The tables of a training file as strict records: what may stand in [train], [identities.NAME], [loss] ..."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vfxswap.alignment import FaceType
from vfxswap.pipeline.tables import Table
from vfxswap.stage import InputPath, PipelinePath

PresetName = Literal["quick", "shot", "film"]
Precision = Literal["auto", "float32", "bfloat16"]


class Train(Table):
    """`[train]`: for whom, how large, how long."""

    production: str = Field(min_length=1, description="For which production; must be in each identity's consent.")
    purpose: str = Field(
        min_length=1, description="What it is for (double, de-age, dub, test ...); must be in each consent."
    )
    preset: PresetName = Field(
        default="quick",
        description="Where every other setting starts from: `quick` 128 px for a CPU, `shot` 256, `film` 512.",
    )
    out: PipelinePath = Field(
        description="Folder for checkpoints, previews and the trained file, relative to this file; made if needed."
    )
    init: str = Field(
        default="base",
        min_length=1,
        description='What it starts from: `"base"` (the one that comes along), `"none"` (noise), or the path of a'
        " trained file, relative to this file.",
    )
    size: int = Field(default=128, ge=16, le=1024, description="Side of the pictures in pixels.")
    face_type: FaceType = Field(default="whole", description="How much of a head the crops show; the facesets' own.")
    widths: tuple[int, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=9,
        description="Channels of the network's levels, the coarsest first, each with twice the side of the one before,"
        " the last with half the picture's; the preset's if left out.",
    )
    code: int = Field(default=256, ge=4, le=4096, description="Numbers in the code that encoder and decoders share.")
    style: int = Field(default=64, ge=1, le=1024, description="Numbers in a person's style.")
    stills: int = Field(
        default=5,
        ge=0,
        le=9,
        description="Pictures of each person that the decoder bends, mixes, relights and paints over: at rest, turned"
        " to either side, mouth open, eyes shut, looking down, up, turned far with the mouth open; 0 is none: it paints"
        " all by itself.",
    )
    still_size: int | None = Field(
        default=None,
        ge=16,
        le=2048,
        description="Side of the stills in pixels, a multiple of `size`; faces are shown so fine. By default twice"
        " `size` where the facesets are that large, else `size`.",
    )
    shared: bool = Field(
        default=False,
        description="One decoder for all, told whom to show by a style alone: for a base, and for many people.",
    )
    start_size: int | None = Field(
        default=None,
        ge=16,
        le=1024,
        description="Side to begin with, `size` halved once or more; levels are added as it grows. `size` if left out.",
    )
    grow_share: float = Field(
        default=0.4,
        ge=0.05,
        le=0.9,
        description="Part of the budget after which the full size is reached, half of it fading.",
    )
    batch: int = Field(default=16, ge=1, le=4096, description="Faces in a step, over all identities, on each device.")
    accumulate: int = Field(default=1, ge=1, le=256, description="Batches whose gradients are added up to a step.")
    iterations: int = Field(default=6000, ge=1, le=10_000_000, description="Steps; the schedules follow it.")
    minutes: float | None = Field(
        default=None,
        gt=0,
        description="Time for all of it, over all resumes. Whichever budget is used up first ends it, and the schedules"
        " follow; then a resumed run is not the same to the bit, as clocks are not.",
    )
    seed: int = Field(default=1, ge=0, lt=2**31, description="Of every draw.")
    learning_rate: float = Field(default=1e-3, gt=0, le=0.1, description="Of Adam, at its highest.")
    encoder_rate: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Part of it that the encoder gets where it comes from a base; 0 leaves it alone.",
    )
    warmup: int = Field(default=100, ge=0, le=100_000, description="Steps over which the rate rises.")
    decay_from: float = Field(
        default=0.5, ge=0, lt=1, description="Part of the budget after which the rate falls, to a 50th."
    )
    clip: float = Field(default=1.0, gt=0, description="Largest norm of the gradients.")
    ema: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="How slowly the averaged weights follow, which are what is kept; 0 is none.",
    )
    precision: Precision = Field(
        default="auto",
        description="`bfloat16` where the device computes in it, by `auto` on CUDA alone, else `float32`.",
    )
    compile: bool = Field(default=False, description="Compile the network, which takes minutes and pays on long runs.")
    cache_gb: float = Field(default=4.0, ge=0, description="Faces are kept in memory up to so many gigabytes.")
    uniform_yaw: bool = Field(default=False, description="Draw profiles as often as frontal faces.")
    blinks: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Least share of draws that show shut eyes, of people who are seen with such. On film they are a few"
        " in a hundred, too few to be learnt.",
    )
    held_out: float = Field(
        default=0.05, ge=0, le=0.5, description="Part of each faceset, its last pictures, that is kept for the scores."
    )
    save_every: int = Field(default=500, ge=1, description="Steps between checkpoints.")
    preview_every: int = Field(default=250, ge=1, description="Steps between preview pictures.")
    deliver_to: tuple[str, ...] = Field(
        default=(), description="Identities whose folders get the trained file in the end, for the stage that uses it."
    )


class Pair(Table):
    """`pairs` of an identity: faces of somebody else, and the same pictures with this one's face."""

    faces: InputPath = Field(description="A faceset of somebody else.")
    truth: InputPath = Field(description="The same pictures, by source and frame, with this identity's face.")


class Person(Table):
    """`[identities.NAME]`: one person."""

    path: InputPath | None = Field(
        default=None,
        description="The identity's folder with identity.toml; may be left out for those who are only replaced, whose"
        " facesets are a plate's.",
    )
    faces: tuple[InputPath, ...] = Field(
        min_length=1, description="Folders of facesets (`vfxswap extract`), relative to this file."
    )
    pairs: tuple[Pair, ...] = Field(
        default=(), description="Pictures that exist with another face too, of which the lab has as many as one wants."
    )


class Losses(Table):
    """`[loss]`: what counts, and how much; 0 leaves a part out."""

    pixel: float = Field(default=1.0, ge=0, le=100, description="Absolute difference.")
    structure: float = Field(default=0.5, ge=0, le=100, description="Structural dissimilarity (DSSIM).")
    detail: float = Field(
        default=1.0, ge=0, le=100, description="Differences by scale, down to the finest (Laplacian pyramid)."
    )
    perceptual: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="How differently the face and what is made of it are seen, by features of the network's own"
        " encoder.",
    )
    matte: float = Field(default=0.2, ge=0, le=100, description="Error of the matte.")
    placing: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="Error of the landmarks by which stills are bent.",
    )
    crossing: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="Error of the landmarks that each face would have as somebody else's: the other's proportions, in"
        " the outline of the head that it is put on. For facesets with points in space (`mesh468`).",
    )
    eyes_mouth: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="How much more eyes and mouth count than the skin, and their landmarks than others.",
    )
    outside: float = Field(default=0.1, ge=0, le=1, description="How much what lies outside the matte counts.")
    pairs: float = Field(
        default=1.0, ge=0, le=100, description="How much pictures with another's face count, where there are."
    )
    consistency: float = Field(
        default=0.0, ge=0, le=100, description="A swapped face, encoded again, must give the same code (cycle)."
    )


class Augment(Table):
    """`[augment]`: how pictures are varied, drawn anew at every step."""

    warp: float = Field(
        default=0.05,
        ge=0,
        le=0.3,
        description="How far the input alone is bent, as part of a cell of the grid: it must be undone.",
    )
    warp_until: float = Field(
        default=0.8, ge=0, le=1, description="Part of the budget after which it is no longer bent."
    )
    rotation_degrees: float = Field(default=6.0, ge=0, le=45, description="Input and target alike.")
    scale: float = Field(default=0.05, ge=0, lt=0.5, description="Input and target alike.")
    shift: float = Field(default=0.03, ge=0, lt=0.5, description="Input and target alike, as part of the side.")
    flip: float = Field(
        default=0.0, ge=0, le=1, description="Share that is mirrored. Faces are not symmetric; for few pictures."
    )
    light: float = Field(
        default=0.1, ge=0, le=1, description="Gain, contrast, balance and saturation of input and target alike."
    )
    borrow_tone: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Share of faces that get the colour statistics of somebody else's, input and target alike, so that"
        " a decoder learns to follow the plate's skin tone.",
    )
    surroundings: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of inputs whose face is seen in another's surroundings, so that hair and background do not"
        " decide what a face does.",
    )
    degrade: float = Field(
        default=0.3, ge=0, le=1, description="Share of inputs that are blurred, noisy or coarsely coded."
    )


class Adversarial(Table):
    """`[adversarial]`: a discriminator of patches, which sharpens late in training."""

    power: float = Field(default=0.0, ge=0, le=10, description="Its weight at the end; 0 is none.")
    start: float = Field(default=0.6, ge=0, lt=1, description="Part of the budget after which it begins.")
    ramp: float = Field(default=0.1, gt=0, le=1, description="Part of the budget over which its weight rises.")
    levels: int = Field(default=3, ge=1, le=6, description="Halvings: a patch is about 6, 14, 30, 62 ... pixels wide.")
    width: int = Field(default=32, ge=4, le=512, description="Channels of its first level.")
    learning_rate: float = Field(default=3e-4, gt=0, le=0.1, description="Of its own Adam.")
    r1: float = Field(default=1.0, ge=0, le=1000, description="Weight of the gradient penalty, every 8th step.")


class Limits(Table):
    """`[stop]`: when something has gone wrong."""

    spike: float = Field(
        default=4.0, gt=1, description="A loss so many times the median of the last hundred is a spike."
    )
    spikes: int = Field(default=20, ge=1, description="So many spikes in a row stop the training.")


TABLES: dict[str, type[Table]] = {"loss": Losses, "augment": Augment, "adversarial": Adversarial, "stop": Limits}
"""The tables that may be left out."""

PRESETS: dict[PresetName, dict[str, dict[str, object]]] = {
    "quick": {"train": {}},
    "shot": {
        "train": {
            "size": 256,
            "widths": [160, 160, 128, 64, 32, 32],
            "start_size": 128,
            "iterations": 60_000,
            "learning_rate": 5e-4,
            "ema": 0.999,
        },
        "adversarial": {"power": 0.05},
    },
    "film": {
        "train": {
            "size": 512,
            "init": "none",
            "widths": [512, 512, 384, 256, 128, 64, 32],
            "code": 512,
            "start_size": 128,
            "iterations": 300_000,
            "learning_rate": 3e-4,
            "ema": 0.9995,
            "batch": 8,
            "accumulate": 2,
            "save_every": 2000,
            "preview_every": 1000,
            "cache_gb": 16.0,
        },
        "adversarial": {"power": 0.1},
    },
}
"""What a preset says in place of the defaults; the file's own words come before.

`shot` grows out of the small base that comes along; `film` is larger than that from its first level on.
"""
