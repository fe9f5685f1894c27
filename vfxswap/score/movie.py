"""A movie is scored: all that there is to hold it against is read beside it, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import torch
from torch import Tensor

from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError
from vfxswap.host import Host
from vfxswap.score.catalogue import METRICS, Metric, Reference
from vfxswap.score.expression import Eyes
from vfxswap.score.faces import landmark_error_percent
from vfxswap.score.judge import Pictures, change_scores, frame_scores, replaced
from vfxswap.score.region import region_of
from vfxswap.score.result import FrameScore, References, ShotScore
from vfxswap.score.sources import Mattes, Movie
from vfxswap.score.temporal import cells, lag_frames
from vfxswap.trackfile import TrackFile, read_tracks

_NOTHING: Mapping[Reference, str] = {
    "truth": "no truth to hold it against",
    "plate": "no plate to hold it against",
    "landmarks": "no landmarks to hold it against",
    "eyes": "no stages to find faces by",
}
Tell = Callable[[int, int], None]
"""Is told frames done, and frames in all."""


def score_movie(  # noqa: PLR0913 - all that it can be held against
    result: Path,
    references: References,
    *,
    tracks: Path | None = None,
    faces_by: Sequence[str] = (),
    frames: FrameRange | None = None,
    color_space: str | None = None,
    host: Host | None = None,
    progress: Tell | None = None,
) -> ShotScore:
    """Scores a result against a truth, its plate, or both.

    Frames are compared in order, in the face space, at the plate's own resolution.

    Args:
        result: A movie or sequence.
        references: What it is held against.
        tracks: Tracks file of the result's landmarks, to be held against the true ones.
        faces_by: Names of a detector and an aligner that look at result and truth, for expressions.
        frames: Which frames of truth, plate and mattes the result shows, where it does not show them all; counted as
            the truth (or else the plate) counts them.
        color_space: Of movies that have no colour tags, a name of `vfxswap.color.SPACES`.
        host: The plugins; by default all that this machine has.
        progress: Is told after each frame.

    Returns:
        Scores of each frame and of the shot.

    Raises:
        UsageError: There is neither truth nor plate, no matte and no plate to find one by, tracks without true ones,
            no truth to look at, or sizes or numbers of frames do not agree.
        PipelineError: There is no stage of a name in `faces_by`.
        ModelMissing: A model of theirs is not in the store.
        MediaError: Something cannot be read.
        PluginError: No reader takes a file.
    """
    _check_asked(references, tracks, faces_by)
    host = Host() if host is None else host
    with ExitStack() as files:
        shot = _opened(result, references, frames, color_space, host, files)
        pairs = None if tracks is None or references.tracks is None else (read_tracks(tracks), references.tracks)
        landmarks = None if pairs is None else _Landmarks(pairs[0], read_tracks(pairs[1]))
        eyes = None
        if faces_by:
            numbers = shot.result.numbers
            eyes = Eyes(faces_by, host, size=shot.result.size, frames=(numbers[0], numbers[-1]))
            files.enter_context(eyes)
        return _scored(shot, references, _Looks(landmarks, eyes), progress)


def _check_asked(references: References, tracks: Path | None, faces_by: Sequence[str]) -> None:
    if references.truth is None and references.plate is None:
        raise UsageError("a result must be held against something; give a truth, or the plate")
    if references.matte is None and references.plate is None:
        raise UsageError("nothing says what was replaced; give mattes, or the plate to find it by")
    if tracks is not None and references.tracks is None:
        raise UsageError(f"the landmarks of {tracks} need the true ones; give a truth folder with tracks.json")
    if faces_by and references.truth is None:
        raise UsageError(f"what {', '.join(faces_by)} find in the result needs a truth to be held against; give one")


@dataclass(frozen=True, slots=True, eq=False)
class _Landmarks:
    ours: TrackFile
    true: TrackFile

    def error(self, number: int, place: int) -> float | None:
        return landmark_error_percent(self.ours.faces(number), self.true.faces(place))


@dataclass(frozen=True, slots=True, eq=False)
class _Looks:
    """What looks at the faces themselves."""

    landmarks: _Landmarks | None
    eyes: Eyes | None

    @property
    def there(self) -> dict[str, bool]:
        """What there is to hold landmarks against."""
        return {"landmarks": self.landmarks is not None, "eyes": self.eyes is not None}

    def scores(self, now: Pictures, number: int, place: int) -> tuple[dict[str, float], tuple[str, ...]]:
        """Of a frame, by name; and why one is missing."""
        found: dict[str, float] = {}
        error = None if self.landmarks is None else self.landmarks.error(number, place)
        if error is not None:
            found["landmark_error_percent"] = error
        if self.eyes is None or now.truth is None:
            return found, ()
        seen = self.eyes.difference_percent(now.result, now.truth, now.matte, number)
        return (found, (seen,)) if isinstance(seen, str) else ({**found, "expression_error_percent": seen}, ())


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    """All movies, opened."""

    result: Movie
    truth: Movie | None
    plate: Movie | None
    mattes: Mattes | None
    places: FrameRange
    """Which frames of the references the result shows, counted from 0."""
    count: int
    """Frames that the references have."""
    first: int
    """Number of the references' first frame."""

    def pictures(self) -> Iterator[Pictures]:
        chosen = FrameRange(tuple(self.first + place for place in self.places))
        none: Iterator[None] = repeat(None)
        movies = (
            none if movie is None else movie.pictures(_shifted(movie, chosen, self.first))
            for movie in (self.truth, self.plate)
        )
        mattes = none if self.mattes is None else self.mattes.planes(self.places, self.count)
        results = self.result.pictures(self.result.numbers)
        for result, truth, plate, matte in zip(results, *movies, mattes, strict=False):
            yield Pictures(result, truth, plate, _matte(matte, result, plate))


def _shifted(movie: Movie, chosen: FrameRange, first: int) -> FrameRange:
    """The same frames, as this movie counts."""
    shift = movie.numbers[0] - first
    return FrameRange(tuple(number + shift for number in chosen))


def _matte(matte: Tensor | None, result: Tensor, plate: Tensor | None) -> Tensor:
    if matte is None:
        if plate is None:
            raise UsageError("nothing says what was replaced; give mattes, or the plate to find it by")
        return replaced(result, plate)
    if matte.shape != result.shape[1:]:
        found, wanted = ("x".join(map(str, reversed(shape))) for shape in (matte.shape, result.shape[1:]))
        raise UsageError(f"mattes are {found} pixels, the result is {wanted}; give mattes of the result's size")
    return matte


def _opened(
    result: Path, references: References, frames: FrameRange | None, space: str | None, host: Host, files: ExitStack
) -> _Shot:
    ours = files.enter_context(Movie(result, host, color_space=space))
    truth, plate = (
        None if path is None else files.enter_context(Movie(path, host, color_space=space))
        for path in (references.truth, references.plate)
    )
    known = [movie for movie in (truth, plate) if movie is not None]
    for movie in known:
        _check_alike(movie, ours, known[0])
    numbers = known[0].numbers
    chosen = numbers if frames is None else frames
    if not len(chosen) or any(number not in numbers for number in chosen):
        raise UsageError(f"frames {chosen} are not all in {known[0].path}, which has {numbers}")
    if len(chosen) != len(ours.numbers):
        raise UsageError(
            f"{result} has {len(ours.numbers)} frames, and is held against {len(chosen)} of {known[0].path} ({chosen});"
            f" say by frames which of {numbers} it shows"
        )
    places = FrameRange(tuple(number - numbers[0] for number in chosen))
    mattes = None if references.matte is None else Mattes(references.matte, host)
    return _Shot(ours, truth, plate, mattes, places, len(numbers), numbers[0])


def _check_alike(movie: Movie, result: Movie, other: Movie) -> None:
    if movie.size != result.size:
        sizes = ["x".join(map(str, size)) for size in (movie.size, result.size)]
        raise UsageError(f"{movie.path} is {sizes[0]}, {result.path} is {sizes[1]}; they must have one size")
    if len(movie.numbers) != len(other.numbers):
        raise UsageError(
            f"{movie.path} has {len(movie.numbers)} frames, {other.path} has {len(other.numbers)}; they must agree"
        )


@dataclass(slots=True)
class _Light:
    """Series of the light in each movie, for lag."""

    result: list[Tensor] = field(default_factory=list)
    truth: list[Tensor] = field(default_factory=list)
    plate: list[Tensor] = field(default_factory=list)


@torch.inference_mode()
def _scored(shot: _Shot, references: References, looks: _Looks, progress: Tell | None) -> ShotScore:
    frames: list[FrameScore] = []
    light, before = _Light(), None
    numbers = shot.result.numbers
    for number, place, now in zip(numbers, shot.places, shot.pictures(), strict=True):
        values, notes = _frame(now, before, light)
        more, why = looks.scores(now, number, shot.first + place)
        frames.append(FrameScore(number, values | more, (*notes, *why)))
        before = now
        if progress is not None:
            progress(len(frames), len(numbers))
    whole = _whole(light)
    there = {"truth": references.truth is not None, "plate": references.plate is not None, **looks.there}
    pooled, missing = _pooled(frames, whole, there)
    return ShotScore(shot.result.path, references, tuple(frames), pooled, missing)


def _frame(now: Pictures, before: Pictures | None, light: _Light) -> tuple[dict[str, float], tuple[str, ...]]:
    region = region_of(now.matte) if before is None else region_of(now.matte, before.matte)
    if region is None:
        for series in (light.result, light.truth, light.plate):
            series.append(torch.full((9,), torch.nan, dtype=torch.float64))
        return {}, ("nothing is replaced in this frame",)
    for series, picture in ((light.result, now.result), (light.truth, now.truth), (light.plate, now.plate)):
        if picture is not None:
            series.append(cells(region.cut(picture), region))
    values = frame_scores(now, region)
    if before is not None:
        values |= change_scores(now, before, region)
    is_plate = now.plate is not None and torch.equal(region.cut(now.result), region.cut(now.plate))
    return values, ("the face is the plate's own",) if is_plate else ()


def _whole(light: _Light) -> dict[str, float]:
    found = {}
    for name, series in (("lag_frames", light.truth), ("plate_lag_frames", light.plate)):
        lag = lag_frames(light.result, series) if len(series) == len(light.result) else None
        if lag is not None:
            found[name] = lag
    return found


def _pooled(
    frames: Sequence[FrameScore], whole: dict[str, float], there: dict[str, bool]
) -> tuple[dict[str, float], dict[str, str]]:
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name, metric in METRICS.items():
        of_frames = [frame.values[name] for frame in frames if name in frame.values]
        if name in whole:
            values[name] = whole[name]
        elif of_frames:
            values[name] = metric.pooled(of_frames)
        else:
            missing[name] = _why(metric) if there[metric.against] else _NOTHING[metric.against]
    return values, missing


def _why(metric: Metric) -> str:
    if metric.pool == "shot":
        return "the light hardly changes, or the shot has fewer than 9 frames"
    if "flicker" in metric.name:
        return "no two neighbouring frames show the face, or it is smaller than 32 pixels"
    return "no frame shows it"
