"""`vfxswap tracks`: what was found in a shot, as people read it, and to and from other programs."""
# ruff: noqa: PLC0415 - what a command does is imported when it is asked for, so that help is quick

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from vfxswap.cli.analysis import Clip, PipelineFile, Sets, note, opened
from vfxswap.cli.output import columns, say
from vfxswap.cli.tracks_edit import app as edit_app
from vfxswap.cli.tracks_edit import write
from vfxswap.errors import UsageError

if TYPE_CHECKING:
    from vfxswap.analysis import EditedFace, Settled
    from vfxswap.cli.analysis import Opened

app = typer.Typer(
    help="What was found in a shot: see it, edit it, take it to other programs and back.\n\nA shot is analysed first:"
    " vfxswap analyze PIPELINE. Edits are kept apart from what was found, and hold when it is analysed again.",
    no_args_is_help=True,
)
app.add_typer(edit_app, name="edit", rich_help_panel=None)

Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


@app.command()
def show(
    context: typer.Context, pipeline: PipelineFile, sets: Sets = None, clip: Clip = None, as_json: Json = False
) -> None:
    """List the tracks of a shot, with the edits in: frames, size, score, bridged frames, identity."""
    shot = opened(context.obj, pipeline, sets, clip)
    settled = shot.settled()
    tracks = [_facts(track, faces, settled) for track, faces in _by_track(settled).items()]
    if as_json:
        facts: dict[str, Any] = {"analysis": str(shot.plan.analysis_path), "cuts": _cuts(shot), "tracks": tracks}
        facts |= {"edits": shot.edits.facts(), "untracked_faces": _untracked(settled)}
        say(json.dumps(facts, indent=2))
        return
    say("\n".join(_table(shot, settled, tracks)))


def _by_track(settled: Settled) -> dict[int, dict[int, EditedFace]]:
    """The faces of each track by frame."""
    found: dict[int, dict[int, EditedFace]] = {}
    for number, faces in settled.faces.items():
        for face in faces:
            if face.detection.track is not None:
                found.setdefault(face.detection.track, {})[number] = face
    return dict(sorted(found.items()))


def _facts(track: int, faces: dict[int, EditedFace], settled: Settled) -> dict[str, Any]:
    from vfxswap.clock import FrameRange

    boxes = [face.detection.box for face in faces.values()]
    bridged = [number for number, face in faces.items() if face.notes]
    edited = [number for number, face in faces.items() if face.found is None]
    return {
        "track": track,
        "frames": str(FrameRange.of(faces)),
        "count": len(faces),
        "mean_height_px": round(sum(box[3] - box[1] for box in boxes) / len(boxes), 1),
        "mean_score": round(sum(face.detection.score for face in faces.values()) / len(faces), 3),
        "bridged": str(FrameRange.of(bridged)) if bridged else "",
        "edited": str(FrameRange.of(edited)) if edited else "",
        "identity": settled.identities.get(track, "") if track in settled.identities else "by rule",
    }


def _cuts(shot: Opened) -> list[int]:
    return [number for number, frame in sorted(shot.found.items()) if frame.cut_before]


def _untracked(settled: Settled) -> int:
    return sum(face.detection.track is None for faces in settled.faces.values() for face in faces)


def _table(shot: Opened, settled: Settled, tracks: list[dict[str, Any]]) -> Iterable[str]:
    cuts = _cuts(shot)
    where = f"cuts at {', '.join(map(str, cuts))}" if cuts else "no cuts"
    yield f"{shot.plan.analysis_path}: {len(shot.found)} frames, {where}"
    head = ("track", "frames", "height", "score", "bridged", "edited", "identity")
    rows = [
        (
            str(facts["track"]),
            f"{facts['frames']} ({facts['count']})",
            f"{facts['mean_height_px']:.0f} px",
            f"{facts['mean_score']:.2f}",
            facts["bridged"] or "-",
            facts["edited"] or "-",
            "nobody" if facts["identity"] is None else facts["identity"],
        )
        for facts in tracks
    ]
    yield from columns([head, *rows], "  ") if rows else ["  no tracks"]
    if alone := _untracked(settled):
        yield f"  {alone} faces on no track; put a tracker after the detector to edit them"
    if shot.edits:
        yield f"{shot.path}: {len(shot.edits.edits)} edits"
        yield from (f"  {place}. {edit}" for place, edit in enumerate(shot.edits.edits, 1))


@app.command("export")
def export_tracks(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: PipelineFile,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="FILE.json, FILE.csv or FILE.nk.", show_default=False)],
    track: Annotated[list[int] | None, typer.Option(metavar="N", help="These tracks alone. May be repeated.")] = None,
    as_found: Annotated[bool, typer.Option("--as-found", help="Without the edits.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Write the faces of a shot for another program.

    .json holds all that is known, .csv boxes and five points, .nk a Tracker4 node of Nuke with five points a face.
    """
    from vfxswap.cli.tracks_files import write_file

    shot = opened(context.obj, pipeline, sets, clip)
    if file.exists() and not overwrite:
        raise UsageError(f"{file} is there already; name another file, or replace it with --overwrite")
    settled = shot.settled(shot.edits.without_last(len(shot.edits.edits)) if as_found else None)
    say(write_file(shot, settled, file, track or ()))


@app.command("import")
def import_tracks(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: PipelineFile,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="FILE.json, FILE.csv or FILE.nk.", show_default=False)],
    track: Annotated[
        int | None, typer.Option(metavar="N", help="Whose face it is, where the file does not say it.")
    ] = None,
    offset: Annotated[int, typer.Option(metavar="N", help="Added to the file's frame numbers.")] = 0,
    then: Annotated[
        str,
        typer.Option(metavar="found|linear|smooth", help="What follows its frames, up to the next."),
    ] = "found",
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Take faces from a tracks file or a script of Nuke, as edits.

    What is as it was found becomes no edit. A track that the shot does not have becomes a new one.
    """
    from vfxswap.cli.tracks_files import read_file

    if then not in {"found", "linear", "smooth"}:
        raise UsageError(f"--then {then}: allowed: found, linear, smooth")
    shot = opened(context.obj, pipeline, sets, clip)
    ways = cast("Literal['found', 'linear', 'smooth']", then)
    edits = read_file(shot, file, track=track, offset=offset, then=ways)
    if not edits:
        note("nothing in it differs from what is there")
        return
    write(shot, edits)
