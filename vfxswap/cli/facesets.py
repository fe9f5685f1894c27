"""`vfxswap extract` and `vfxswap faceset`: gathering faces for training, sifting and looking at them."""
# ruff: noqa: PLC0415 - what a command needs is imported by the command, so that help is quick

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vfxswap.cli.output import columns, say

if TYPE_CHECKING:
    from vfxswap.alignment import TemplateName
    from vfxswap.faceset import Faceset
    from vfxswap.facesets.extract import Extracted

app = typer.Typer(
    help="Facesets: folders of aligned faces, as `vfxswap extract` writes them and training takes them.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The faceset's folder.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a faceset that is there.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
_LISTED = 20


def extract(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline file.", show_default=False)],
    identity: Annotated[str, typer.Option(metavar="NAME", help="Whose faces: a name under [identities].")],
    plate: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SHOT",
            help="A shot of the identity itself, in place of the plate. May be repeated. Its colour is its own: say"
            " --set shot.color_space=NAME where it has no tags.",
        ),
    ] = None,
    stills: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|FOLDER", help="Pictures of the identity itself. May be repeated."),
    ] = None,
    frames: Annotated[str | None, typer.Option(metavar="RANGE", help="Look at these frames: 1001-1100.")] = None,
    every: Annotated[int, typer.Option(metavar="N", help="Take one frame of N.")] = 1,
    face: Annotated[
        str | None,
        typer.Option(
            metavar="RULE", help="Which face it is: by=size, by=left,rank=2, by=track,rank=3, by=like,still=FILE."
        ),
    ] = None,
    mattes: Annotated[
        Path | None,
        typer.Option(
            metavar="PATTERN",
            help="Mattes that an artist drew, white where the face is seen, of some frames of the one shot:"
            " matte.####.png.",
        ),
    ] = None,
    face_type: Annotated[
        str, typer.Option(metavar="TYPE", help="How much of the head: half, mid_full, full, whole, head.")
    ] = "whole",
    size: Annotated[int, typer.Option(metavar="PX", help="Side of the crops.")] = 256,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The faceset's folder; else facesets/NAME beside the pipeline file."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set one value of the file. May be repeated."),
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    overwrite: Overwrite = False,
    progress: Annotated[
        str, typer.Option(metavar="STYLE", help="auto, openjd, deadline, alfred, json or none.")
    ] = "auto",
) -> None:
    """Cut aligned faces out of shots and stills.

    By the pipeline's own detector, aligner and casting: of its plate the face that the identity takes, of --plate and
    --stills the identity's own. Consent is asked for as for a run. Run again, it goes on where it was broken off.
    """
    from vfxswap.cli.pipelines import terminated_like_interrupted
    from vfxswap.cli.progress import renderer
    from vfxswap.errors import UsageError
    from vfxswap.facesets.extract import Footage, stills_in
    from vfxswap.facesets.extract import extract as extracted
    from vfxswap.facesets.seeing import Asked, crop_asked, face_rule

    asked = Asked(pipeline, identity, crop_asked(face_type, size), tuple(sets or ()), device)
    footage = Footage(
        tuple(plate or ()), stills_in(stills or ()), frames, every, None if face is None else face_rule(face), mattes
    )
    own = not (footage.plates or footage.stills)
    folder = out or pipeline.parent / "facesets" / (f"{identity}_plate" if own else identity)
    try:
        style = renderer(progress)
    except KeyError:
        raise UsageError(f"--progress {progress}: must be auto, openjd, deadline, alfred, json or none") from None
    with terminated_like_interrupted(), style as bar:
        done = extracted(asked, folder, footage, host=context.obj.host(), overwrite=overwrite, progress=bar)
    say("\n".join(_told(done)))


def _told(done: Extracted) -> list[str]:
    faces = done.faceset
    if done.already_done:
        return [f"{faces.folder}: is there already, made from the very same things; nothing to do"]
    whose = faces.info.identity if faces.info.subject == "identity" else f"the plate {faces.info.identity}"
    crop = f"{faces.crop.template} {faces.crop.size_px} px, {faces.info.bits} bits"
    lines = [f"{faces.folder}: {len(faces)} faces of {whose} in {done.looked_at} frames and stills; {crop}"]
    return lines + _left_out(faces)


def _left_out(faces: Faceset) -> list[str]:
    left = list(faces.info.left_out.items())
    lines = [f"  left out: {name}: {why}" for name, why in left[:_LISTED]]
    if len(left) > _LISTED:
        lines.append(f"  and {len(left) - _LISTED} more, listed in {faces.folder / 'faceset.json'}")
    return lines


@app.command("info")
def info(
    folder: Folder,
    verify: Annotated[bool, typer.Option("--verify", help="Read every picture; ends with 1 if one is bad.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a faceset holds: whose, how many, poses, sharpness, sizes, consent."""
    from vfxswap.faceset import Faceset
    from vfxswap.facesets.summary import summary

    faces = Faceset.load(folder)
    bad = [f"{faces.records[index].file}: {why}" for index, why in faces.problems()] if verify else []
    facts = summary(faces)
    if as_json:
        say(json.dumps({**facts, **({"bad": bad} if verify else {})}, indent=1, ensure_ascii=False))
    else:
        rows = [(name.replace("_", " "), value) for name, value in facts.items() if name != "spread"]
        lines = columns([(name, _shown(value)) for name, value in rows if value not in ("", {}, None)], "  ")
        spread = [("", "LEAST", "5 %", "MEDIAN", "95 %", "MOST")]
        spread += [(name.replace("_", " "), *(f"{v:.3g}" for v in five)) for name, five in facts["spread"].items()]
        say("\n".join([str(folder), *lines, *columns(spread, "  "), *_left_out(faces)]))
        if verify:
            say("\n".join([f"{len(bad)} of {len(faces)} pictures cannot be used", *bad]))
    raise typer.Exit(1 if bad else 0)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_shown(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@app.command("filter")
def sift(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy what is kept there; the faceset itself stays.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be dropped.")] = False,
    min_sharpness: Annotated[float | None, typer.Option(metavar="X", help="As `faceset info` shows it.")] = None,
    min_size: Annotated[float | None, typer.Option(metavar="PX", help="Of the crop in the source's pixels.")] = None,
    max_yaw: Annotated[float | None, typer.Option(metavar="DEG", help="Turned to either side.")] = None,
    max_pitch: Annotated[float | None, typer.Option(metavar="DEG", help="Looking up or down.")] = None,
    min_brightness: Annotated[float | None, typer.Option(metavar="X", help="Mean luma of the face, 0..1.")] = None,
    max_brightness: Annotated[float | None, typer.Option(metavar="X", help="Mean luma of the face, 0..1.")] = None,
    min_similarity: Annotated[float | None, typer.Option(metavar="X", help="To the faceset's median, up to 1.")] = None,
    min_inside: Annotated[
        float | None, typer.Option(metavar="X", help="Part of the crop that the source's picture fills, up to 1.")
    ] = None,
    near_duplicates: Annotated[
        float | None, typer.Option(metavar="X", help="Keep the sharpest of those as like as this, such as 0.98.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Drop faces that are soft, small, turned away, dark, strange, or nearly the same; each with the reason.

    Nothing is taken out of the faceset itself: what is kept is copied to another folder.
    """
    from vfxswap.errors import UsageError
    from vfxswap.faceset import Faceset
    from vfxswap.facesets.filters import Limits, write_kept
    from vfxswap.facesets.filters import sift as sifted_by

    limits = Limits(
        min_sharpness,
        min_size,
        max_yaw,
        max_pitch,
        min_brightness,
        max_brightness,
        min_similarity,
        min_inside,
        near_duplicates,
    )
    if limits.empty:
        raise UsageError("say what to sift by, such as --min-sharpness 0.5 or --near-duplicates 0.98")
    if (out is None) != dry_run:
        raise UsageError("give either --out DIR for what is kept, or --dry-run")
    faces = Faceset.load(folder)
    sifted = sifted_by(faces, limits)
    dropped = [(faces.records[item.index].file, item.kind, item.reason) for item in sifted.dropped]
    if as_json:
        listed = [dict(zip(("file", "kind", "reason"), row, strict=True)) for row in dropped]
        say(json.dumps({"kept": len(sifted.kept), "counts": sifted.counts, "dropped": listed}, indent=1))
    else:
        say("\n".join(f"dropped {file}: {reason}" for file, _, reason in dropped) or "nothing is dropped")
        counted = ", ".join(f"{count} by {kind}" for kind, count in sifted.counts.items()) or "none"
        say(f"{len(sifted.kept)} of {len(faces)} faces kept; dropped: {counted}")
    if out is not None:
        written = write_kept(faces, sifted, out, overwrite=overwrite)
        if not as_json:
            say(f"{written.folder}: {len(written)} faces")


@app.command("sheet")
def sheet(
    folder: Folder,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture: .png or .jpg.")],
    by: Annotated[
        str,
        typer.Option(
            metavar="ORDER", help="source, yaw, pitch, roll, sharpness, brightness, key, warmth or similarity."
        ),
    ] = "source",
    most: Annotated[int, typer.Option(metavar="N", help="Faces on the sheet; of more, every so many.")] = 240,
    across: Annotated[int, typer.Option("--columns", metavar="N", help="Faces in a row.")] = 12,
    tile: Annotated[int, typer.Option(metavar="PX", help="Side of a face.")] = 128,
) -> None:
    """Draw a contact sheet."""
    from vfxswap.faceset import Faceset
    from vfxswap.facesets.sheet import contact_sheet

    drawn = contact_sheet(Faceset.load(folder), out, by=by, columns=across, tile_px=tile, most=most)
    say("\n".join([f"{drawn.path}: {drawn.shown} faces", *(f"  {why}" for why in drawn.unreadable)]))


@app.command("coverage")
def coverage(
    plate: Annotated[Path, typer.Option(metavar="DIR", help="The faceset of the plate's faces.")],
    identity: Annotated[list[Path], typer.Option(metavar="DIR", help="A faceset of the identity. May be repeated.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The chart: .png or .jpg.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the plate's poses, light and expressions with the identity's, and say what is missing.

    Before days of training: what the plate shows and the identity's footage does not, in the order of how much of the
    plate it concerns.
    """
    from vfxswap.faceset import Faceset
    from vfxswap.facesets.chart import draw_chart
    from vfxswap.facesets.coverage import compare

    found = compare(Faceset.load(plate), [Faceset.load(folder) for folder in identity])
    if out is not None:
        draw_chart(found, out)
    say(json.dumps(found.to_json(), indent=1, ensure_ascii=False) if as_json else "\n".join(found.words()))
    if out is not None and not as_json:
        say(f"chart: {out}")


@app.command("similarity")
def similarity(
    folder: Folder,
    model: Annotated[
        Path | None,
        typer.Option(metavar="ONNX", help="A face recogniser that tells people apart; else looks are compared."),
    ] = None,
    template: Annotated[str, typer.Option(metavar="NAME", help="How it wants faces aligned.")] = "arcface_112_v2",
    signed: Annotated[bool, typer.Option("--signed", help="Black is -1 and white 1 to it, not 0 and 255.")] = False,
    against: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A faceset of another person, to find strayed faces.")
    ] = None,
    least: Annotated[float, typer.Option(metavar="X", help="Name faces that are less alike than this.")] = 0.4,
) -> None:
    """Compare the faces with one another, and name those that may be of somebody else.

    What is found goes into the index, for `faceset filter --min-similarity` and `faceset sheet --by similarity`.
    """
    from vfxswap.alignment import TEMPLATE_NAMES
    from vfxswap.errors import UsageError
    from vfxswap.faceset import Faceset
    from vfxswap.facesets.similarity import Recogniser, compare_faces

    if template not in TEMPLATE_NAMES:
        raise UsageError(f"--template {template}: must be one of {', '.join(TEMPLATE_NAMES)}")
    values = (-1.0, 1.0) if signed else (0.0, 255.0)
    recogniser = None
    if model is not None:
        recogniser = Recogniser(model, template=cast("TemplateName", template), values=values)
    other = None if against is None else Faceset.load(against)
    faces, strangers = compare_faces(
        Faceset.load(folder), recogniser=recogniser, other=other, least=least, progress=_counted
    )
    for stranger in strangers:
        beside = "" if stranger.like_other is None else f", to the other {stranger.like_other:.2f}"
        say(f"{stranger.record.file}: similarity {stranger.like_own:.2f}{beside}")
    say(f"{folder}: {len(strangers)} of {len(faces)} faces may be of somebody else")


@app.command("import")
def take_over(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SRC...", help="DeepFaceLab's aligned JPEGs, their folder, or faceset.pak."),
    ],
    identity: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the identity that they show, with its consent record."),
    ] = None,
    plate: Annotated[
        str | None, typer.Option(metavar="NAME", help="Or: they are a plate's faces; the shot's name.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The faceset's folder.")] = Path("faceset"),
    production: Annotated[str | None, typer.Option(metavar="NAME", help="Must be in the consent record.")] = None,
    purpose: Annotated[str | None, typer.Option(metavar="WORD", help="Must be in the consent record, if said.")] = None,
    size: Annotated[int | None, typer.Option(metavar="PX", help="Side of the crops; else the pictures' own.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Take over a faceset of DeepFaceLab.

    Its pickles are read by a reader that knows data alone: whatever else is in one is refused, and nothing of it runs.
    """
    from vfxswap.facesets.takeover import Wanted
    from vfxswap.facesets.takeover import take_over as taken_over

    wanted = Wanted(tuple(sources), identity, plate, production, purpose, size)
    done = taken_over(wanted, out, overwrite=overwrite, progress=_counted)
    faces = done.faceset
    say(f"{faces.folder}: {len(faces)} faces of {faces.info.identity}; {done.refused} could not be taken")
    say("\n".join(_left_out(faces)) or "all were taken")


def _counted(done: int, total: int) -> None:
    """Counts in a line of standard error, where somebody is looking."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {total} faces" + ("\n" if done == total else ""))
        sys.stderr.flush()
    elif done in {1, total} or done % 500 == 0:
        sys.stderr.write(f"{done} of {total} faces\n")
