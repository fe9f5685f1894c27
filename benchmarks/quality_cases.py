"""What is compared: shots, pipelines that differ in one thing each, and what each stage claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.shot import PRESETS, ShotSpec


@dataclass(frozen=True, slots=True)
class Footage:
    """Frames of one of the lab's shots, and who plays whom."""

    preset: str
    frames: tuple[int, int]
    cast: tuple[str, str] | None = None
    """Who is in the plate, and whose face the truth shows; by default the preset's."""

    @property
    def spec(self) -> ShotSpec:
        """The shot."""
        spec = PRESETS[self.preset]
        if self.cast is None:
            return spec
        looks, face = (PERFORMERS[name] for name in self.cast)
        lead = spec.roles[0].model_copy(update={"looks": looks, "face": face})
        return spec.model_copy(update={"roles": (lead, *spec.roles[1:])})


SHOTS: dict[str, Footage] = {
    "demo": Footage("demo", (1020, 1025)),
    "talk": Footage("talk", (1030, 1035)),
    "lights": Footage("lights", (1030, 1035)),
    "flicker": Footage("flicker", (1030, 1039)),
    "blink": Footage("blink", (1022, 1027)),
    "profile": Footage("profile", (1036, 1041)),
    "occluder": Footage("occluder", (1034, 1039)),
    "shake": Footage("shake", (1030, 1035)),
    "blur": Footage("blur", (1030, 1035)),
    "defocus": Footage("defocus", (1060, 1065)),
    "grain": Footage("grain", (1030, 1035)),
    "cut": Footage("cut", (1022, 1027)),
    "talk-dark": Footage("talk", (1030, 1035), ("chi", "eun")),
    "lights-dark": Footage("lights", (1030, 1035), ("chi", "eun")),
    "talk-pale": Footage("talk", (1030, 1035), ("eun", "ben")),
}
"""Some frames of each of the lab's shots, from where they stress what they are named for; three with other faces."""

Stage = dict[str, object]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A chain of stages that is judged."""

    says: str
    swap: Stage = field(default_factory=lambda: {"use": "portrait"})
    matte: Stage = field(default_factory=lambda: {"use": "hull"})
    color: Stage | None = field(default_factory=lambda: Stage(use="mkl"))
    deflicker: Stage | None = field(default_factory=lambda: Stage(use="flow-deflicker"))
    blend: Stage = field(default_factory=lambda: {"use": "pyramid"})
    finish: Stage | None = field(default_factory=lambda: Stage(use="grain"))
    spoilt: bool = False
    """Whether light and place of the swapped face are made to tremble, as a model's do that sees single frames."""

    def stages(self, tracks: Path) -> list[Stage]:
        """Its stages, as a pipeline file has them."""
        swap = {**self.swap, "identity": "hero"}
        found: tuple[Stage, Stage] = ({"use": "tracks", "path": str(tracks)}, {"use": "points5"})
        tremble: Stage | None = {"use": "tremble"} if self.spoilt else None
        chain = (*found, swap, self.matte, self.color, tremble, self.deflicker, self.blend, self.finish)
        return [stage for stage in chain if stage is not None]


def _portrait(**options: object) -> Stage:
    return {"use": "portrait", **options}


_COLORS = ("lct", "reinhard", "idt", "sot", "hist")

PIPELINES: dict[str, Pipeline] = {
    "paste": Pipeline(
        "a still turned and scaled, mixed by the matte",
        {"use": "paste"},
        color=None,
        deflicker=None,
        blend={"use": "alpha"},
        finish=None,
    ),
    "paste-mkl": Pipeline(
        "the same, with the plate's colours", {"use": "paste"}, deflicker=None, blend={"use": "alpha"}, finish=None
    ),
    "default": Pipeline("portrait, hull, mkl, flow-deflicker, pyramid, grain"),
    "no-color": Pipeline("without a colour match", color=None),
    **{f"color-{name}": Pipeline(f"{name} for mkl", color={"use": name}) for name in _COLORS},
    "color-robust": Pipeline("reinhard for mkl, robust", color={"use": "reinhard", "robust": True}),
    "color-locked": Pipeline("mkl, one map for the shot", color={"use": "mkl", "lock": "shot"}),
    "color-skin": Pipeline("mkl over eyes and teeth too", color={"use": "mkl", "openings": 0.0}),
    "color-gain3": Pipeline("mkl, stretching by 3 at most", color={"use": "mkl", "max_gain": 3.0}),
    "no-deflicker": Pipeline("without flow-deflicker", deflicker=None),
    "no-grain": Pipeline("without grain", finish=None),
    "blend-alpha": Pipeline("alpha for pyramid", blend={"use": "alpha"}),
    "blend-poisson": Pipeline("poisson for pyramid", blend={"use": "poisson"}),
    "poisson-far": Pipeline("poisson, reaching far", blend={"use": "poisson", "reach_percent": 30.0}),
    "no-shape": Pipeline("portrait on the plate's features", _portrait(shape=0.0)),
    "no-gaze": Pipeline("portrait, eyes as the still has them", _portrait(gaze=False)),
    "no-relight": Pipeline("portrait without relight", _portrait(relight=0.0, relight_color=0.0)),
    "relight-luma": Pipeline("portrait, light without its colour", _portrait(relight_color=0.0)),
    "no-relight-no-color": Pipeline("neither relight nor colour match", _portrait(relight=0.0), color=None),
    "eyes-plate": Pipeline("portrait, the plate's eyes", _portrait(eyes="plate")),
    "eyes-still": Pipeline("portrait, the still's eyes", _portrait(eyes="still")),
    "mouth-plate": Pipeline("portrait, the plate's mouth", _portrait(mouth="plate")),
    "mouth-still": Pipeline("portrait, the still's mouth", _portrait(mouth="still")),
    "one-still": Pipeline("portrait, the best still alone", _portrait(still_mix=0.001)),
    "tremble": Pipeline("a face that trembles in light and place, steadied", spoilt=True),
    "tremble-raw": Pipeline("the same without flow-deflicker", spoilt=True, deflicker=None),
    "roto": Pipeline("the true matte for hull", matte={"use": "roto"}),
}
"""Each differs from `default` in one thing; the baselines come first."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a stage is for: with it, a score must be better than without."""

    stage: str
    with_it: str
    without: str
    score: str
    least: float
    """Smallest difference that counts."""
    shots: tuple[str, ...] = ("demo", "talk", "lights", "talk-dark")
    """Where it is looked at."""


_ALL = tuple(SHOTS)
_STEADY = ("demo", "talk", "flicker", "occluder")
_SHAPES = ("demo", "talk", "profile", "talk-dark", "talk-pale")
_LIT = ("demo", "talk", "lights", "flicker", "grain")
_EDGES = ("lights", "grain", "profile", "occluder")
_TREMBLING = ("talk", "lights")
_EYES = ("demo", "blink", "talk-dark")
CLAIMS = (
    Claim("portrait (against a pasted still)", "default", "paste-mkl", "psnr_db", 0.3, _ALL),
    Claim("portrait (against the plate's own face)", "default", "plate", "psnr_db", 0.3, _ALL),
    Claim("portrait, shape", "default", "no-shape", "psnr_db", 0.1, _SHAPES),
    Claim("portrait, gaze", "default", "no-gaze", "psnr_db", 0.02, _EYES),
    Claim(
        "portrait, relight",
        "default",
        "no-relight",
        "tone_ciede2000",
        0.05,
        _LIT,
    ),
    Claim("portrait, relight_color", "default", "relight-luma", "tone_ciede2000", 0.05, ("lights", "grain")),
    Claim("portrait, eyes = auto (against plate)", "default", "eyes-plate", "ssim", 0.002, _EYES),
    Claim("portrait, eyes = auto (against still)", "default", "eyes-still", "ssim", 0.002, _EYES),
    Claim("portrait, mouth = auto (against plate)", "default", "mouth-plate", "ssim", 0.002),
    Claim("portrait, mouth = auto (against still)", "default", "mouth-still", "ssim", 0.002),
    Claim("portrait, still_mix", "default", "one-still", "flicker_codes", 0.05, ("demo", "talk")),
    Claim("mkl", "default", "no-color", "tone_ciede2000", 0.1),
    *(Claim(name, f"color-{name}", "no-color", "tone_ciede2000", 0.1) for name in _COLORS),
    Claim("reinhard, robust", "color-robust", "color-reinhard", "tone_ciede2000", 0.05),
    Claim("a colour match's openings", "default", "color-skin", "psnr_db", 0.05),
    Claim("mkl, max_gain 1.5 (against 3)", "default", "color-gain3", "psnr_db", 0.01),
    Claim("lock = shot", "color-locked", "default", "tone_flicker_codes", 0.02, ("talk", "lights")),
    Claim(
        "pyramid (against alpha)",
        "default",
        "blend-alpha",
        "seam_codes",
        0.1,
        _EDGES,
    ),
    Claim(
        "poisson (against alpha)",
        "blend-poisson",
        "blend-alpha",
        "seam_codes",
        0.1,
        _EDGES,
    ),
    Claim(
        "poisson, reach 10 (against 30)",
        "blend-poisson",
        "poisson-far",
        "seam_codes",
        0.1,
        _EDGES[1:],
    ),
    Claim("flow-deflicker", "default", "no-deflicker", "tone_flicker_codes", 0.02, _STEADY),
    Claim(
        "flow-deflicker, of a trembling face", "tremble", "tremble-raw", "tone_flicker_codes", 0.02, ("talk", "lights")
    ),
    Claim("flow-deflicker, trembling", "tremble", "tremble-raw", "flicker_codes", 0.1, _TREMBLING),
    Claim("grain", "default", "no-grain", "grain", 0.02, ("grain", "demo", "talk", "talk-dark")),
    Claim("roto (the true matte, against hull)", "roto", "default", "seam_codes", 0.1, ("occluder", "talk")),
)
