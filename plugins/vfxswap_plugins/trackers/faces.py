"""Follows faces through a shot by how they move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pydantic import Field

from vfxswap.frame import Detection, Sighting, Tracked
from vfxswap.ops.linking import Candidate, Trail, linked
from vfxswap.stage import StageOptions, Tracker


class FaceTrackerOptions(StageOptions):
    """Settings of `face-tracker`."""

    sure_score: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Confidence (0..1) from which a face may begin a track, or take one up again; less sure ones only"
        " go on with a track that was there a moment before, and are left out otherwise. Let the detector give some.",
    )
    max_gap_frames: int = Field(
        default=12, ge=0, le=48, description="Most frames without the face after which it is still the same track."
    )
    min_track_frames: int = Field(
        default=3, ge=1, le=1000, description="Tracks that were seen in fewer frames are left out."
    )


class FaceTracker(Tracker[FaceTrackerOptions]):
    """Links detections to tracks; tracks end at cuts."""

    Options = FaceTrackerOptions

    def follow(self, sightings: Iterator[Sighting]) -> Mapping[int, Sequence[Tracked]]:
        """See `Tracker`."""
        found: dict[int, list[Detection]] = {}
        counts: dict[int, int] = {}
        trails: list[Trail] = []
        for sighting in sightings:
            trails = [] if sighting.cut_before else trails
            trails = [t for t in trails if sighting.number - t.last <= self.options.max_gap_frames + 1]
            found[sighting.number] = []
            for index, trail in self._linked(trails, sighting, counts):
                trail.see(sighting.number, _candidate(sighting.detections[index]))
                counts[trail.number] += 1
                found[sighting.number].append(replace(sighting.detections[index], track=trail.number))
        kept = {number for number, count in counts.items() if count >= self.options.min_track_frames}
        return {n: [Tracked(face) for face in faces if face.track in kept] for n, faces in found.items()}

    def _linked(self, trails: list[Trail], sighting: Sighting, counts: dict[int, int]) -> Sequence[tuple[int, Trail]]:
        """The faces that are on a track, in the detector's order; new tracks are added."""
        faces = [_candidate(face) for face in sighting.detections]
        pairs = linked(trails, sighting.number, faces, sure=self.options.sure_score)
        on = {candidate: trails[trail] for trail, candidate in pairs}
        for index, face in enumerate(faces):
            if index not in on and face.score >= self.options.sure_score:
                trail = Trail(len(counts) + 1)
                counts[trail.number] = 0
                trails.append(trail)
                on[index] = trail
        return sorted(on.items())


def _candidate(face: Detection) -> Candidate:
    return Candidate(face.box, face.score)
