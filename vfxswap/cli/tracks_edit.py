"""`vfxswap tracks edit`: artists' words about the faces of a shot."""
# ruff: noqa: PLC0415 - what a command does is imported when it is asked for, so that help is quick

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vfxswap.cli.analysis import Clip, PipelineFile, Sets, opened
from vfxswap.cli.output import say
from vfxswap.errors import UsageError

if TYPE_CHECKING:
    from vfxswap.analysis.edits import Edit
    from vfxswap.cli.analysis import Opened

app = typer.Typer(
    help="Correct what was found in a shot.\n\nCoordinates are pixels from the top left of the picture, y down; frames"
    " are the shot's own. Between two key frames of a track its face goes its way from one to the other; before the"
    " first and after the last it is as it was found.",
    no_args_is_help=True,
)


class Way(StrEnum):
    """What follows a key."""

    LINEAR = "linear"
    SMOOTH = "smooth"
    FOUND = "found"


Track = Annotated[int, typer.Option("--track", metavar="N", help="Whose face, as `tracks show` numbers them.")]
Frame = Annotated[int, typer.Option("--frame", metavar="N", help="At which frame.")]
Then = Annotated[
    Way, typer.Option(help="What follows, up to the next key: a straight or a smooth way, or what was found.")
]


@app.command("set-box")
def set_box(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: PipelineFile,
    track: Track,
    frame: Frame,
    box: Annotated[str, typer.Option(metavar="X0,Y0,X1,Y1", help="The box.")],
    then: Then = Way.LINEAR,
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Set a face's box at a key frame; its landmarks are found anew inside."""
    from vfxswap.analysis.edits import BoxKeys

    facts = {"track": track, "keys": {str(frame): _numbers(box, 4, "--box")}, "then": then.value}
    write(opened(context.obj, pipeline, sets, clip), [_made(BoxKeys, facts, "--box")])


@app.command("set-points")
def set_points(  # noqa: PLR0913, PLR0917 - likewise
    context: typer.Context,
    pipeline: PipelineFile,
    track: Track,
    frame: Frame,
    five: Annotated[
        str | None,
        typer.Option(metavar="X,Y X,Y ...", help="Left eye, right eye, nose tip, left, right corner of the mouth."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A tracks file (.json) that has dense points for the frame.")
    ] = None,
    then: Then = Way.LINEAR,
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Set a face's points at a key frame.

    Five points place the face, and its landmarks are found anew; dense points are taken as they are. Left and right are
    the image's.
    """
    from vfxswap.analysis.edits import FiveKeys

    if (five is None) == (file is None):
        raise UsageError("say the points with --five, or the file that has them with --file")
    shot = opened(context.obj, pipeline, sets, clip)
    if file is not None:
        from vfxswap.cli.tracks_files import points_in

        write(shot, [points_in(shot, file, track=track, frame=frame, then=then.value)])
        return
    numbers = _numbers(five or "", 10, "--five")
    points = [numbers[place : place + 2] for place in range(0, 10, 2)]
    write(shot, [_made(FiveKeys, {"track": track, "keys": {str(frame): points}, "then": then.value}, "--five")])


@app.command()
def lock(  # noqa: PLR0913, PLR0917 - likewise
    context: typer.Context,
    pipeline: PipelineFile,
    track: Track,
    frame: Frame,
    points: Annotated[bool, typer.Option("--points", help="Lock the dense points too.")] = False,
    then: Then = Way.FOUND,
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Keep a face as it is at a frame: a way that leads there ends, and analysing anew does not change it.

    To bridge frames that are wrong, lock the good frame before them with --then linear, and the good one after them.
    """
    shot = opened(context.obj, pipeline, sets, clip)
    write(shot, _locked(shot, track, frame, then.value, dense=points))


def _locked(shot: Opened, track: int, frame: int, then: str, *, dense: bool) -> list[Edit]:
    """Keys of all that the face has at a frame."""
    from vfxswap.analysis.edits import BoxKeys, FiveKeys, PointKeys
    from vfxswap.cli.tracks_files import in_window, rounded

    faces = shot.settled().faces.get(frame, ())
    face = next((face for face in faces if face.detection.track == track), None)
    if face is None:
        raise UsageError(f"track {track} has no face at frame {frame}; set-box or set-points say where it is")
    detection = in_window(shot, face.detection)
    common = {"track": track, "then": then}
    keys: list[tuple[Any, dict[str, Any]]] = [(BoxKeys, {"keys": {str(frame): rounded(detection.box)}})]
    if detection.five is not None:
        keys.append((FiveKeys, {"keys": {str(frame): rounded(detection.five)}}))
    if dense:
        from vfxswap.cli.tracks_files import landmarks_of

        marks = landmarks_of(shot, face)
        if marks is None:
            raise UsageError(
                f"the analysis has no landmarks of track {track} at frame {frame}, as its box or five points were set"
                " by hand there; lock it without --points"
            )
        keys.append((PointKeys, {"scheme": marks.scheme, "keys": {str(frame): rounded(marks.points)}}))
    return [_made(kind, {**common, **facts}, "lock") for kind, facts in keys]


@app.command()
def new(
    context: typer.Context,
    pipeline: PipelineFile,
    frame: Frame,
    box: Annotated[str, typer.Option(metavar="X0,Y0,X1,Y1", help="Its box.")],
    then: Then = Way.LINEAR,
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Begin a track for a face that was not found; it is there where its keys say so."""
    from vfxswap.analysis.edits import BoxKeys, NewTrack

    shot = opened(context.obj, pipeline, sets, clip)
    track = next_track(shot)
    facts = {"track": track, "keys": {str(frame): _numbers(box, 4, "--box")}, "then": then.value}
    write(shot, [NewTrack(track=track), _made(BoxKeys, facts, "--box")])
    say(f"it is track {track}")


@app.command()
def delete(
    context: typer.Context,
    pipeline: PipelineFile,
    track: Track,
    frames: Annotated[str | None, typer.Option(metavar="RANGE", help="In these frames alone: 1001-1010.")] = None,
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Delete a face that is none, in all frames or in some."""
    from vfxswap.analysis.edits import Delete

    write(opened(context.obj, pipeline, sets, clip), [_made(Delete, {"track": track, "frames": frames}, "--frames")])


@app.command()
def join(
    context: typer.Context,
    pipeline: PipelineFile,
    track: Track,
    other: Annotated[int, typer.Option("--with", metavar="N", help="The other one, which is no more then.")],
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Say that two tracks are one person."""
    from vfxswap.analysis.edits import Join
    from vfxswap.clock import FrameRange

    shot = opened(context.obj, pipeline, sets, clip)
    edit = _made(Join, {"track": track, "other": other}, "--with")
    of_both = [
        number
        for number, faces in shot.settled().faces.items()
        if {track, other} <= {face.detection.track for face in faces}
    ]
    if of_both:
        raise UsageError(
            f"tracks {track} and {other} both have a face at {FrameRange.of(of_both)}, so they are not one person; if"
            " one of them is wrong there, delete it there first: tracks edit delete --track N --frames RANGE"
        )
    write(shot, [edit])


@app.command()
def identity(
    context: typer.Context,
    pipeline: PipelineFile,
    track: Track,
    name: Annotated[
        str | None, typer.Option("--identity", metavar="NAME", help="Who is put in, by the pipeline file.")
    ] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Leave this face as it is.")] = False,
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Say who is put in for a track, whatever the pipeline file's rules are."""
    from vfxswap.analysis.edits import GiveIdentity

    if (name is None) != nobody:
        raise UsageError("say who with --identity NAME, or --nobody")
    write(opened(context.obj, pipeline, sets, clip), [GiveIdentity(track=track, identity=name)])


@app.command()
def undo(
    context: typer.Context,
    pipeline: PipelineFile,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many.")] = 1,
    sets: Sets = None,
    clip: Clip = None,
) -> None:
    """Take back the last edit, or the last few."""
    from vfxswap.analysis import read_edits, write_edits
    from vfxswap.analysis.file import locked
    from vfxswap.cli.analysis import load_pipeline

    path = load_pipeline(context.obj, pipeline, sets, clip, has_edits=False).edits_path
    with locked(path):
        edits = read_edits(path) if path.exists() else None
        if not edits:
            raise UsageError(f"{path}: there is no edit to take back")
        left = edits.without_last(count)
        write_edits(path, left)
    gone = edits.edits[len(left.edits) :]
    say(f"{path}: took back {'; '.join(map(str, gone))}; {len(left.edits)} left")


def write(shot: Opened, edits: Sequence[Edit]) -> None:
    """Adds edits to the file, if they hold together with those that are there by now.

    Raises:
        UsageError: They do not.
    """
    from vfxswap.analysis import read_edits, write_edits
    from vfxswap.analysis.file import locked

    path = shot.path
    with locked(path):
        there = read_edits(path) if path.exists() else shot.edits
        wanted = there.with_edits(edits)
        shot.settled(wanted)
        write_edits(path, wanted)
    if len(edits) > 3:
        say(f"{path}: {len(edits)} more edits, {len(wanted.edits)} in all (undo --count {len(edits)} takes them back)")
        return
    count = f"{len(wanted.edits)} edits in all" if len(wanted.edits) > 1 else "the first edit"
    say(f"{path}: {'; '.join(map(str, edits))}; {count}")


def next_track(shot: Opened) -> int:
    """The next free number of a track."""
    from vfxswap.analysis.edited import frames_of_tracks

    return max([-1, *frames_of_tracks(shot.found), *(edit.track for edit in shot.edits.edits)]) + 1


def _numbers(text: str, count: int, option: str) -> list[float]:
    words = text.replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise UsageError(f"{option} {text}: write {count} numbers, with commas or spaces between")
    return numbers


def _made(kind: Any, facts: dict[str, Any], option: str) -> Edit:
    """An edit, checked as a file's are."""
    import json

    from pydantic import ValidationError

    try:
        made: Edit = kind.model_validate_json(json.dumps(facts))
    except ValidationError as error:
        raise UsageError(f"{option}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
    return made
