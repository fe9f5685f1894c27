"""How good the pictures are: synthetic shots with a known truth, through pipelines that differ in one thing each.

    python -m benchmarks.quality --quick             two small shots; about a minute
    python -m benchmarks.quality                     all of it; writes benchmarks/QUALITY.md
    python -m benchmarks.quality --shots demo,talk --pipelines paste,default,poisson

The figures depend on no machine's speed. The baselines and the default are judged on every shot, every other pipeline
on the shots of the claims that it is needed for. Rendered shots are kept in the work folder and used again; results are
kept there too, and only scored anew if --keep says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import fmean

import torch

import vfxswap
from benchmarks.quality_cases import CLAIMS, PIPELINES, SHOTS, Pipeline, Stage
from benchmarks.quality_goals import Found, Scores, figure, goals, markdown
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.score import METRICS, References, score_movie

HERE = Path(__file__).resolve().parent


SIZE, QUICK_SIZE = (480, 270), (320, 180)
STILL_PX = 512
QUICK = ("demo", "lights")
SHOWN = (
    *("psnr_db", "ssim", "ms_gmsd", "ciede2000", "tone_ciede2000", "ring_ciede2000", "seam_codes", "sharpness"),
    *("grain", "flicker_codes", "tone_flicker_codes"),
)
"""The scores of the table over all shots."""
EVERYWHERE = ("plate", "truth", "paste", "paste-mkl", "default")
"""What is judged on every shot; the first two are no pipelines."""

QUICK_PIPELINES = ("paste", "default", "no-color", "no-deflicker", "blend-alpha", "blend-poisson", "no-relight")


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
        first, last = SHOTS[name].frames
        deliver(
            SHOTS[name].spec, folder, width=size[0], height=size[1], frames=range(first, last + 1), still_px=STILL_PX
        )
    return folder


def judged(name: str, shot: Path, work: Path, host: Host, *, keep: bool) -> Scores:
    """The scores of a pipeline on a shot; `plate` is the plate itself, with no swap, and `truth` a perfect one."""
    references = References.of(shot)
    if name in {"plate", "truth"}:
        return score_movie(shot / f"{name}.mkv", references, host=host).values
    file, out = work / f"{shot.name}.{name}.toml", work / f"{shot.name}.{name}.mkv"
    if not (keep and out.is_file()):
        file.write_text(pipeline_text(PIPELINES[name], shot), encoding="utf-8")
        vfxswap.run(file, out=out, overwrite=True, device="cpu", host=host)
    return score_movie(out, references, host=host).values


def tables(found: Found, size: tuple[int, int]) -> str:
    """The page: goals, the baselines and the default shot by shot, and what each stage is worth."""
    head = (HERE / "quality_head.md").read_text(encoding="utf-8")
    parts = [
        head.format(width=size[0], height=size[1], still=STILL_PX, shots=", ".join(found)).rstrip(),
        "## Goals\n\n" + markdown(goals(found)),
        "## Means over all shots\n\n" + _means(found),
        *(
            f"## {score} by shot\n\n" + _by_shot(found, score)
            for score in ("psnr_db", "tone_ciede2000", "tone_flicker_codes", "seam_codes", "sharpness", "grain")
        ),
        "## What each stage is worth\n\n" + _worth(found),
        "## All that was measured\n\n" + _everything(found),
    ]
    return "\n\n".join(parts) + "\n"


def _means(found: Found) -> str:
    rows = [["pipeline", *SHOWN], ["", *(METRICS[score].best for score in SHOWN)]]
    for name in EVERYWHERE:
        if all(name in scores for scores in found.values()):
            means = [fmean(scores[name][score] for scores in found.values()) for score in SHOWN]
            rows.append([name, *(figure(mean) for mean in means)])
    return markdown(rows)


def _by_shot(found: Found, score: str) -> str:
    rows = [["pipeline", *found]]
    rows += [
        [name, *(figure(scores[name][score]) for scores in found.values())]
        for name in EVERYWHERE
        if all(name in scores for scores in found.values())
    ]
    return markdown(rows)


def _worth(found: Found) -> str:
    rows = [["stage", "score", "with", "without", "better on", "worse on", "verdict"]]
    for claim in CLAIMS:
        some = {s: v for s, v in found.items() if s in claim.shots and {claim.with_it, claim.without} <= set(v)}
        if not some:
            continue
        pairs = {shot: (s[claim.with_it][claim.score], s[claim.without][claim.score]) for shot, s in some.items()}
        gains = {shot: _gain(claim.score, *pair) for shot, pair in pairs.items()}
        better, worse = ([shot for shot in gains if sign * gains[shot] > claim.least] for sign in (1, -1))
        means = [figure(fmean(pair[side] for pair in pairs.values())) for side in (0, 1)]
        verdict = "helps" if better and not worse else "mixed" if better else "no improvement"
        rows.append([claim.stage, claim.score, *means, _list(better, some), _list(worse, some), verdict])
    return markdown(rows)


def _everything(found: Found) -> str:
    rows = [["shot", "pipeline", *SHOWN]]
    rows += [
        [shot, name, *(figure(values[score]) for score in SHOWN)]
        for shot, scores in found.items()
        for name, values in scores.items()
        if name not in EVERYWHERE
    ]
    return markdown(rows)


def _gain(score: str, with_it: float, without: float) -> float:
    return METRICS[score].badness(without) - METRICS[score].badness(with_it)


def _list(shots: Sequence[str], found: Mapping[str, object]) -> str:
    return "all" if len(shots) == len(found) else ", ".join(shots) or "none"


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
    parser.add_argument("--jobs", type=int, default=2, help="shots worked on at once")
    asked = parser.parse_args()
    shots = _chosen(asked.shots, QUICK if asked.quick else SHOTS, SHOTS)
    names = _chosen(asked.pipelines, QUICK_PIPELINES if asked.quick else PIPELINES, PIPELINES)
    size = QUICK_SIZE if asked.quick else SIZE
    wanted = {shot: _wanted(shot, names, every=asked.pipelines is not None) for shot in shots}
    page = tables(_measured(wanted, asked.work, size, keep=asked.keep, jobs=asked.jobs), size)
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


def _wanted(shot: str, names: Sequence[str], *, every: bool) -> list[str]:
    """What is judged on a shot: what stands for all shots, and what a claim needs there."""
    needed = {name for claim in CLAIMS if shot in claim.shots for name in (claim.with_it, claim.without)}
    return [*EVERYWHERE[:2], *(name for name in names if every or name in EVERYWHERE or name in needed)]


def _measured(
    wanted: Mapping[str, Sequence[str]], work: Path, size: tuple[int, int], *, keep: bool, jobs: int
) -> dict[str, dict[str, Scores]]:
    """The scores of all shots, each shot by a process of its own."""
    work.mkdir(parents=True, exist_ok=True)
    one = partial(_of_shot, work=work, size=size, keep=keep)
    with ProcessPoolExecutor(jobs) as pool:
        return dict(zip(wanted, pool.map(one, wanted, wanted.values()), strict=True))


def _of_shot(shot: str, names: Sequence[str], *, work: Path, size: tuple[int, int], keep: bool) -> dict[str, Scores]:
    torch.set_num_threads(1)
    host = Host(plugin_path=[HERE / "quality_plugins"])
    folder = rendered(shot, work, size)
    found: dict[str, Scores] = {}
    for name in names:
        found[name] = judged(name, folder, work, host, keep=keep)
        print(f"{shot} {name}: {found[name]['psnr_db']:.2f} dB", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
