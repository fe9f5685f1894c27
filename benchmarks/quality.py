"""How good the pictures are: synthetic shots with a known truth, through pipelines that differ in one thing each.

    python benchmarks/quality.py --quick             two small shots; a few minutes
    python benchmarks/quality.py                     all shots; writes benchmarks/QUALITY.md
    python benchmarks/quality.py --shots demo,talk --pipelines paste,default,poisson

The figures depend on no machine's speed. Rendered shots are kept in the work folder and used again; results are kept
there too, and only scored anew if --keep says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import torch

import vfxswap
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.shot import PRESETS
from vfxswap.score import METRICS, References, score_movie

HERE = Path(__file__).resolve().parent

SHOTS: dict[str, tuple[int, int]] = {
    "demo": (1020, 1031),
    "talk": (1030, 1041),
    "lights": (1030, 1041),
    "flicker": (1030, 1041),
    "blink": (1020, 1031),
    "profile": (1030, 1041),
    "occluder": (1030, 1041),
    "shake": (1030, 1041),
    "blur": (1030, 1041),
    "defocus": (1055, 1066),
    "grain": (1030, 1041),
    "cut": (1020, 1031),
}
"""Twelve frames of each of the lab's shots, from where they stress what they are named for."""
SIZE, QUICK_SIZE = (480, 270), (320, 180)
STILL_PX = 512
QUICK = ("demo", "lights")
SHOWN = (
    *("psnr_db", "ssim", "ms_gmsd", "ciede2000", "tone_ciede2000", "seam_codes", "sharpness", "grain"),
    *("flicker_codes", "tone_flicker_codes", "plate_ring_psnr_db"),
)
"""The scores of the table over all shots."""

Stage = dict[str, object]
Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A chain of stages that is judged."""

    says: str
    swap: Stage = field(default_factory=lambda: {"use": "portrait"})
    matte: Stage = field(default_factory=lambda: {"use": "hull"})
    color: Stage | None = field(default_factory=lambda: Stage(use="mkl"))
    deflicker: Stage | None = field(default_factory=lambda: Stage(use="flow-deflicker"))
    blend: Stage = field(default_factory=lambda: {"use": "pyramid"})
    spoilt: bool = False
    """Whether light and place of the swapped face are made to tremble, as a model's do that sees single frames."""

    def stages(self, tracks: Path) -> list[Stage]:
        """Its stages, as a pipeline file has them."""
        swap = {**self.swap, "identity": "hero"}
        found: tuple[Stage, Stage] = ({"use": "tracks", "path": str(tracks)}, {"use": "points5"})
        tremble: Stage | None = {"use": "tremble"} if self.spoilt else None
        chain = (*found, swap, self.matte, self.color, tremble, self.deflicker, self.blend)
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
    ),
    "paste-mkl": Pipeline(
        "the same, with the plate's colours", {"use": "paste"}, deflicker=None, blend={"use": "alpha"}
    ),
    "default": Pipeline("portrait, hull, mkl, flow-deflicker, pyramid"),
    "no-color": Pipeline("without a colour match", color=None),
    **{f"color-{name}": Pipeline(f"{name} for mkl", color={"use": name}) for name in _COLORS},
    "color-robust": Pipeline("reinhard for mkl, robust", color={"use": "reinhard", "robust": True}),
    "color-locked": Pipeline("mkl, one map for the shot", color={"use": "mkl", "lock": "shot"}),
    "no-deflicker": Pipeline("without flow-deflicker", deflicker=None),
    "blend-alpha": Pipeline("alpha for pyramid", blend={"use": "alpha"}),
    "blend-poisson": Pipeline("poisson for pyramid", blend={"use": "poisson"}),
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
QUICK_PIPELINES = ("paste", "default", "no-color", "no-deflicker", "blend-alpha", "blend-poisson", "no-relight")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a stage is for: with it, a score must be better than without."""

    stage: str
    with_it: str
    without: str
    score: str
    least: float
    """Smallest difference that counts."""


CLAIMS = (
    Claim("portrait (against a pasted still)", "default", "paste-mkl", "psnr_db", 0.3),
    Claim("portrait (against the plate's own face)", "default", "plate", "psnr_db", 0.3),
    Claim("mkl", "default", "no-color", "tone_ciede2000", 0.1),
    *(Claim(name, f"color-{name}", "no-color", "tone_ciede2000", 0.1) for name in _COLORS),
    Claim("flow-deflicker", "default", "no-deflicker", "tone_flicker_codes", 0.02),
    Claim("flow-deflicker", "default", "no-deflicker", "flicker_codes", 0.1),
    Claim("flow-deflicker, of a trembling face", "tremble", "tremble-raw", "tone_flicker_codes", 0.02),
    Claim("flow-deflicker, of a trembling face", "tremble", "tremble-raw", "flicker_codes", 0.1),
    Claim("pyramid (against alpha)", "default", "blend-alpha", "seam_codes", 0.1),
    Claim("pyramid (against alpha)", "default", "blend-alpha", "tone_ciede2000", 0.05),
    Claim("poisson (against alpha)", "blend-poisson", "blend-alpha", "seam_codes", 0.1),
    Claim("poisson (against alpha)", "blend-poisson", "blend-alpha", "tone_ciede2000", 0.05),
    Claim("relight", "default", "no-relight", "tone_ciede2000", 0.05),
    Claim("relight_color", "default", "relight-luma", "tone_ciede2000", 0.05),
    Claim("eyes = auto (against plate)", "default", "eyes-plate", "ssim", 0.002),
    Claim("eyes = auto (against still)", "default", "eyes-still", "ssim", 0.002),
    Claim("mouth = auto (against plate)", "default", "mouth-plate", "ssim", 0.002),
    Claim("mouth = auto (against still)", "default", "mouth-still", "ssim", 0.002),
    Claim("still_mix", "default", "one-still", "flicker_codes", 0.05),
)


def pipeline_text(pipeline: Pipeline, shot: Path) -> str:
    """The pipeline file of a chain on a shot."""
    tables = [
        '[shot]\nproduction = "lab"\npurpose = "test"\n' + _toml({"plate": str(shot / "plate.mkv")}),
        "[identities.hero]\n" + _toml({"path": str(shot / "identity")}),
        *("[[stages]]\n" + _toml(_placed(stage, shot)) for stage in pipeline.stages(shot / "tracks.json")),
        '[delivery]\npath = "result.mkv"\n',
    ]
    return "\n".join(tables)


def _placed(stage: Stage, shot: Path) -> Stage:
    return {**stage, "path": str(shot / "mattes" / "matte.####.png")} if stage["use"] == "roto" else stage


def _toml(table: Stage) -> str:
    # A JSON value of text, number or truth is a TOML value too.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def rendered(name: str, work: Path, size: tuple[int, int]) -> Path:
    """The folder of a shot; made if it is not there, and complete."""
    folder = work / f"{name}_{size[0]}x{size[1]}"
    if not (folder / "shot.json").is_file():
        first, last = SHOTS[name]
        deliver(PRESETS[name], folder, width=size[0], height=size[1], frames=range(first, last + 1), still_px=STILL_PX)
    return folder


def judged(name: str, shot: Path, work: Path, host: Host, *, keep: bool) -> Scores:
    """The scores of a pipeline on a shot; `plate` is the plate itself, with no swap."""
    references = References.of(shot)
    if name == "plate":
        return score_movie(shot / "plate.mkv", references, host=host).values
    file, out = work / f"{shot.name}.{name}.toml", work / f"{shot.name}.{name}.mkv"
    if not (keep and out.is_file()):
        file.write_text(pipeline_text(PIPELINES[name], shot), encoding="utf-8")
        vfxswap.run(file, out=out, overwrite=True, device="cpu", host=host)
    return score_movie(out, references, host=host).values


def tables(found: Mapping[str, Mapping[str, Scores]], size: tuple[int, int]) -> str:
    """The page: means over shots, tone and likeness shot by shot, and what each stage is worth."""
    shots = list(found)
    names = list(next(iter(found.values())))
    head = (HERE / "quality_head.md").read_text(encoding="utf-8")
    parts = [
        head.format(width=size[0], height=size[1], still=STILL_PX, shots=", ".join(shots)).rstrip(),
        "## Means over all shots\n\n" + _means(found, names),
        *(
            f"## {score} by shot\n\n" + _by_shot(found, names, score)
            for score in ("psnr_db", "tone_ciede2000", "tone_flicker_codes", "seam_codes")
        ),
        "## What each stage is worth\n\n" + _worth(found, names),
    ]
    return "\n\n".join(parts) + "\n"


def _means(found: Mapping[str, Mapping[str, Scores]], names: Sequence[str]) -> str:
    rows = [["pipeline", *SHOWN], ["", *(METRICS[score].best for score in SHOWN)]]
    for name in names:
        means = [fmean(scores[name][score] for scores in found.values()) for score in SHOWN]
        rows.append([name, *(_figure(mean) for mean in means)])
    return _markdown(rows)


def _by_shot(found: Mapping[str, Mapping[str, Scores]], names: Sequence[str], score: str) -> str:
    rows = [["pipeline", *found]]
    rows += [[name, *(_figure(scores[name][score]) for scores in found.values())] for name in names]
    return _markdown(rows)


def _worth(found: Mapping[str, Mapping[str, Scores]], names: Sequence[str]) -> str:
    rows = [["stage", "score", "with", "without", "better on", "worse on", "verdict"]]
    for claim in CLAIMS:
        if claim.with_it not in names or claim.without not in names:
            continue
        pairs = {shot: (s[claim.with_it][claim.score], s[claim.without][claim.score]) for shot, s in found.items()}
        gains = {shot: _gain(claim.score, *pair) for shot, pair in pairs.items()}
        better, worse = ([shot for shot in gains if sign * gains[shot] > claim.least] for sign in (1, -1))
        means = [_figure(fmean(pair[side] for pair in pairs.values())) for side in (0, 1)]
        verdict = "helps" if better and not worse else "mixed" if better else "no improvement"
        rows.append([claim.stage, claim.score, *means, _list(better, found), _list(worse, found), verdict])
    return _markdown(rows)


def _gain(score: str, with_it: float, without: float) -> float:
    return METRICS[score].badness(without) - METRICS[score].badness(with_it)


def _list(shots: Sequence[str], found: Mapping[str, object]) -> str:
    return "all" if len(shots) == len(found) else ", ".join(shots) or "none"


def _figure(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1.5 else f"{value:.2f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def main() -> None:
    """Renders, swaps, scores, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small shots, few pipelines; prints instead of writing")
    parser.add_argument("--work", type=Path, default=HERE / ".cache" / "quality", help="folder for shots and results")
    parser.add_argument("--shots", help="names parted by commas")
    parser.add_argument("--pipelines", help="names parted by commas")
    parser.add_argument(
        "--keep", action="store_true", help="take the results that are in the work folder, and score them anew"
    )
    parser.add_argument("--out", type=Path, default=HERE / "QUALITY.md", help="the page to write")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    shots = _chosen(asked.shots, QUICK if asked.quick else SHOTS, SHOTS)
    names = _chosen(asked.pipelines, QUICK_PIPELINES if asked.quick else PIPELINES, PIPELINES)
    size = QUICK_SIZE if asked.quick else SIZE
    page = tables(_measured(shots, names, asked.work, size, keep=asked.keep), size)
    if asked.quick:
        print(page)
    else:
        asked.out.write_text(page, encoding="utf-8")


def _chosen(text: str | None, usual: Sequence[str] | Mapping[str, object], known: Mapping[str, object]) -> list[str]:
    names = list(usual) if text is None else text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return names


def _measured(
    shots: Sequence[str], names: Sequence[str], work: Path, size: tuple[int, int], *, keep: bool
) -> dict[str, dict[str, Scores]]:
    work.mkdir(parents=True, exist_ok=True)
    host = Host(plugin_path=[HERE / "quality_plugins"])
    found: dict[str, dict[str, Scores]] = {}
    for shot in shots:
        print(f"{shot}: rendering, if it is not there", file=sys.stderr, flush=True)
        folder = rendered(shot, work, size)
        found[shot] = {}
        for name in ("plate", *names):
            found[shot][name] = judged(name, folder, work, host, keep=keep)
            print(f"{shot} {name}: {found[shot][name]['psnr_db']:.2f} dB", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
