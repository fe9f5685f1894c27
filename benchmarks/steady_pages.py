"""The page of `benchmarks.steadiness`: goals, a table for each fault, and landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.quality_goals import figure, markdown
from benchmarks.steady_cases import BASELINES, CLIPS, FAULTS, REMEDIES, SHOTS

HERE = Path(__file__).resolve().parent
Rows = Mapping[str, Mapping[str, float]]
"""Scores by remedy."""
Found = Mapping[str, Mapping[str, Rows]]
"""By fault and shot."""

DEFAULT = "flow-deflicker"
_MOST_SOFTER = 3.0
_MOST_LAG = 0.1
_SHOWN = ("warp", "flicker", "tone_flicker", "error", "ghost", "softer", "lag")


def page(
    found: Found,
    *,
    size: tuple[int, int],
    crop_px: int,
    jitter: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
) -> str:
    """All of it."""
    head = (HERE / "steady_head.md").read_text(encoding="utf-8")
    parts = [
        head.format(
            width=size[0], height=size[1], crop=crop_px, shots=", ".join(SHOTS), clips=", ".join(CLIPS)
        ).rstrip(),
        "## Goals\n\n" + markdown([["goal", "on", "wanted", "got", "reached"], *_goals(found), *_calmed(jitter[0])]),
    ]
    parts += [
        f"## {name}\n\n{_sentence(FAULTS[name].says)}\n\n{_table(found[name])}" for name in FAULTS if name in found
    ]
    parts.append("## Landmarks\n\n" + _LANDMARKS + "\n\n" + markdown(jitter[0]))
    if len(jitter[1]) > 1:
        parts.append(_CLIPS + "\n\n" + markdown(jitter[1]))
    return "\n\n".join(parts) + "\n"


_LANDMARKS = """\
`facemesh` on lab shots against the true landmarks, in percent of the distance of the eyes' outer corners, root mean
squares. Jitter is the second difference of the error; a point is calm while its true path bends by less than 0.35 %
within four frames on either side, and fast above 4 % a frame. Errors are about each point's own mean, since an aligner
and the lab mean slightly different places. Lag is what of the velocity is in the change that was made, in frames."""
_CLIPS = """\
On clips, where no truth is known, the second difference of the landmarks themselves: what people really do is in it."""


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _table(shots: Mapping[str, Rows]) -> str:
    rows = [["shot", "against it", *(name.replace("_", " ") for name in _SHOWN)]]
    for shot, remedies in shots.items():
        rows += [
            [shot, remedy, *_figures(remedies[remedy], remedies["none"])] for remedy in REMEDIES if remedy in remedies
        ]
    return markdown(rows)


def _figures(values: Mapping[str, float], base: Mapping[str, float]) -> Iterator[str]:
    for name in _SHOWN:
        if name == "softer":
            yield f"{_softer(values, base):.1f} %"
        elif name == "lag":
            yield f"{values[name] + 0:.2f}".replace("-0.00", "0.00") if name in values else ""
        else:
            yield figure(values[name]) if name in values else ""


def _softer(values: Mapping[str, float], base: Mapping[str, float]) -> float:
    return 100 * (1 - values["sharpness"] / base["sharpness"])


def _goals(found: Found) -> Iterator[list[str]]:
    for shot, rows in found.get("tremble", {}).items():
        if DEFAULT not in rows:
            continue
        fair = {name: rows[name] for name in rows if _is_fair(rows[name], rows["none"]) and name not in BASELINES}
        single = {name: values for name, values in fair.items() if len(REMEDIES[name].stages) < 2}
        best = min(single, key=lambda name: single[name]["warp"])
        least = min(values["warp"] for values in single.values())
        got = f"{rows[DEFAULT]['warp']:.2f} (none {rows['none']['warp']:.2f})"
        reached = "yes" if best == DEFAULT else "no"
        yield ["least warping error of a stage that neither softens nor lags", shot, f"{least:.2f}", got, reached]
    for fault, shots in found.items():
        for shot, rows in shots.items():
            if fault != "shimmer" and DEFAULT in rows:
                loss = _softer(rows[DEFAULT], rows["none"])
                yield _goal(f"{DEFAULT} softens, in %", f"{shot}, {fault}", loss, _MOST_SOFTER)
    ring = found.get("truth", {}).get("bar", {})
    for remedy in ring:
        if remedy not in BASELINES and remedy != "none":
            more = ring[remedy]["ghost"] - ring["none"]["ghost"]
            yield _goal(f"ghost that {remedy} adds, in codes", "bar, truth", more, 0.25)


def _is_fair(values: Mapping[str, float], base: Mapping[str, float]) -> bool:
    late = max(abs(values.get("lag", 0.0)) - abs(base.get("lag", 0.0)), 0.0)
    return _softer(values, base) <= _MOST_SOFTER and late <= _MOST_LAG


def _calmed(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Of landmarks: jitter where they are calm, error where they are fast, lag."""
    raw = {row[0]: row for row in rows[1:] if row[1] == "raw"}
    for row in rows[1:]:
        if row[1] != "steady-landmarks":
            continue
        before = raw[row[0]]
        if row[2]:
            change = 100 * (float(row[2]) / float(before[2]) - 1)
            yield _goal("steady-landmarks: jitter of calm points, in %", row[0], change, -60.0)
        if row[4]:
            change = 100 * (float(row[4]) / float(before[4]) - 1)
            yield _goal("steady-landmarks: error of fast points, in %", row[0], change, 0.2)
        yield _goal("steady-landmarks: lag in frames", row[0], abs(float(row[5])), 0.05)


def _goal(what: str, where: str, got: float, most: float) -> list[str]:
    return [what, where, f"at most {most:g}", figure(got), "yes" if got <= most else "no"]
