"""`face-tracker` on the lab's performers who cross, with faces as a detector sees them: noisy, and not always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from vfxswap.frame import Detection, Sighting, Tracked
from vfxswap.host import Host
from vfxswap.lab.backdrop import backdrop
from vfxswap.lab.camera import View
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.landmarks import FaceTruth, face_truth
from vfxswap.lab.play import build
from vfxswap.lab.render import draw, light_scene
from vfxswap.lab.shot import PRESETS
from vfxswap.models import ModelStore
from vfxswap.testing import options_of, setting
from vfxswap_plugins.detectors.yunet import YuNet
from vfxswap_plugins.trackers.faces import FaceTracker

SIZE = (192, 108)
STEP = 3
"""Every third frame of the shot: faster than it was played, and rendered sooner."""
HIDDEN = 0.4
"""Part of the landmarks that must be seen for a detector to see a face."""
Frames = dict[int, Sequence[Tracked]]


@dataclass(frozen=True)
class Crossing:
    """The shot: one performer passes before the other."""

    pictures: Sequence[torch.Tensor]
    truth: Sequence[Sequence[FaceTruth]]

    def seen(self, seed: int | None = None, *, lost: float = 0.0, pixels: bool = True) -> list[Sighting]:
        """What a tracker is given; with a seed, boxes and points err by some 4 % of the face, and some are lost."""
        dice = np.random.default_rng(seed)
        sightings = []
        for number, (picture, faces) in enumerate(zip(self.pictures, self.truth, strict=True), 1):
            there = [face for face in faces if face.visible.mean() > HIDDEN and dice.random() >= lost]
            found = [detected(face, dice if seed is not None else None) for face in there]
            dice.shuffle(found)
            sightings.append(Sighting(number, False, tuple(found), picture if pixels else None))
        return sightings

    def owner(self, number: int, face: Detection) -> int:
        """Whose face it is."""
        return min(self.truth[number - 1], key=lambda truth: miss_px(truth, face)).track


def detected(face: FaceTruth, dice: np.random.Generator | None) -> Detection:
    exact = Detection(face.box, 0.9, face.mesh.five())
    if dice is None:
        return exact
    x0, y0, x1, y1 = face.box
    wrong = dice.normal(size=6) * 0.04 * (x1 - x0)
    box = (x0 + wrong[0], y0 + wrong[1], x1 + wrong[2], y1 + wrong[3])
    return Detection(box, float(dice.uniform(0.5, 0.95)), face.mesh.five() + wrong[4:])


def miss_px(truth: FaceTruth, face: Detection) -> float:
    assert face.five is not None
    return float(np.linalg.norm(truth.mesh.five() - face.five, axis=1).mean())


@pytest.fixture(scope="module")
def crossing() -> Crossing:
    """Rendered without shutter and without the truth's own picture."""
    spec = PRESETS["cross"]
    stage = build(spec, width=SIZE[0], height=SIZE[1])
    room, view = backdrop(SIZE[1], SIZE[0], spec.seed), View(spec.camera, SIZE[1], SIZE[0])
    pictures, truth = [], []
    with torch.inference_mode():
        for number in range(spec.frames[0], spec.frames[1] + 1, STEP):
            instant = stage.instant(number)
            light = light_scene(stage.plate, instant, view.position, shadows=False)
            sample = draw(stage.plate, instant, view, light, room)
            pictures.append(srgb_encoded(sample.image.permute(2, 0, 1)).clamp(0, 1))
            cast = enumerate(zip(stage.plate.performers, instant.stances, strict=True))
            truth.append([face_truth(track, who, stance, view, sample.depth) for track, (who, stance) in cast])
    return Crossing(pictures, truth)


def followed(sightings: Sequence[Sighting], **options: Any) -> Frames:
    stage = FaceTracker(options_of(FaceTracker, options), replace(setting(), width=SIZE[0], height=SIZE[1]))
    stage.open()
    return dict(stage.follow(iter(sightings)))


def owners(crossing: Crossing, frames: Frames) -> dict[int, set[int]]:
    """Whose faces are on each track; bridged ones are left out."""
    found: dict[int, set[int]] = {}
    for number, faces in frames.items():
        for face in faces:
            if not face.notes:
                found.setdefault(face.detection.track or 0, set()).add(crossing.owner(number, face.detection))
    return found


def test_somebody_is_hidden_for_a_while(crossing: Crossing) -> None:
    hidden = [n for n, faces in enumerate(crossing.truth, 1) if faces[1].visible.mean() <= HIDDEN]
    assert len(hidden) >= 3
    assert all(faces[0].visible.mean() > 0.9 for faces in crossing.truth)


@pytest.mark.parametrize("seed", range(12))
def test_two_who_cross_are_never_exchanged(crossing: Crossing, seed: int) -> None:
    found = owners(crossing, followed(crossing.seen(seed, lost=0.15), min_track_frames=1))
    assert sorted(found) == [1, 2]
    assert sorted(tuple(track) for track in found.values()) == [(0,), (1,)]


def test_gaps_are_bridged_where_the_face_is(crossing: Crossing) -> None:
    whole = crossing.seen()
    gapped = [replace(s, detections=()) if s.number in {2, 3, 14} else s for s in whole]
    frames = followed(gapped)
    bridged = {(n, face.detection.track): face for n, faces in frames.items() for face in faces if face.notes}
    assert set(bridged) == {(n, track) for n in (2, 3, 14) for track in (1, 2)}
    for (number, track), face in bridged.items():
        truth = crossing.truth[number - 1][crossing.owner(number, face.detection)]
        width = truth.box[2] - truth.box[0]
        assert face.notes == (f"track {track} bridged by optical flow, not detected",)
        assert miss_px(truth, face.detection) < 0.05 * width
        assert 0.4 < face.detection.score < 0.9


def test_who_is_hidden_is_not_made_up(crossing: Crossing) -> None:
    frames = followed(crossing.seen())
    for number, faces in enumerate(crossing.truth, 1):
        if faces[1].visible.mean() < 0.1:
            (seen,) = frames[number]
            assert crossing.owner(number, seen.detection) == 0


def test_nothing_is_bridged_without_pictures_or_by_request(crossing: Crossing) -> None:
    gapped = [replace(s, detections=()) if s.number == 3 else s for s in crossing.seen()]
    assert followed(gapped, min_confidence=1.0)[3] == []
    blind = [replace(sighting, picture=None) for sighting in gapped]
    assert followed(blind)[3] == []


def test_tracks_end_at_cuts_and_after_long_gaps(crossing: Crossing) -> None:
    seen = [replace(s, cut_before=s.number == 4) for s in crossing.seen()]
    frames = followed(seen)
    assert {face.detection.track for face in frames[3]}.isdisjoint(face.detection.track for face in frames[4])
    gapped = [replace(s, detections=()) if s.number in {3, 4, 5} else s for s in crossing.seen()]
    short = followed(gapped, max_gap_frames=2, min_track_frames=2)
    assert {face.detection.track for face in short[2]}.isdisjoint(face.detection.track for face in short[6])


def test_what_flashes_up_is_no_track_and_what_fades_is_kept(crossing: Crossing) -> None:
    ghost = Detection((5, 80, 25, 100), 0.95, None)
    seen = crossing.seen()
    haunted = [replace(s, detections=(*s.detections, ghost)) if s.number in {2, 3} else s for s in seen]
    assert repr(followed(haunted)) == repr(followed(seen))
    weak = [
        replace(s, detections=tuple(replace(face, score=0.3) for face in s.detections)) if s.number == 4 else s
        for s in seen
    ]
    assert [len(faces) for faces in followed(weak).values()] == [len(faces) for faces in followed(seen).values()]
    assert not any(followed([replace(s, detections=(replace(ghost, score=0.3),)) for s in seen]).values())


def test_the_detectors_own_tracks_are_kept(crossing: Crossing) -> None:
    named = [
        replace(s, detections=tuple(replace(f, track=70 + crossing.owner(s.number, f)) for f in s.detections))
        for s in crossing.seen()
    ]
    tracks = {face.detection.track for faces in followed(named).values() for face in faces}
    assert tracks == {70, 71}
    mixed = [replace(s, detections=(*s.detections, Detection((5, 80, 25, 100), 0.95, None))) for s in named]
    tracks = {face.detection.track for faces in followed(mixed).values() for face in faces}
    assert tracks == {70, 71, 1}


def test_a_recogniser_joins_a_person_over_a_cut(
    crossing: Crossing, networks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests' network says the mean colour, by which these two are told apart."""
    seen = [replace(s, cut_before=s.number in {4, 14}) for s in crossing.seen()]
    frames = followed(seen, recogniser=str(networks.recogniser()), same_person=0.995)
    found = owners(crossing, frames)
    assert sorted(found) == [1, 2]
    assert sorted(tuple(track) for track in found.values()) == [(0,), (1,)]
    strict = followed(seen, recogniser=str(networks.recogniser()), same_person=1.0)
    assert len(owners(crossing, strict)) > 2


def test_a_file_that_is_no_recogniser_is_refused(networks: Any) -> None:
    options = options_of(FaceTracker, {"recogniser": str(networks.xseg())})
    with pytest.raises(Exception, match=r"one input \(N, 3, 112, 112\)"):
        FaceTracker.model_files(options, None)  # type: ignore[arg-type]
    (file,) = FaceTracker.model_files(options_of(FaceTracker, {"recogniser": str(networks.recogniser())}), None)  # type: ignore[arg-type]
    assert len(file.sha256) == 64


def test_a_real_detector_sees_them_cross(crossing: Crossing, shared_models: object) -> None:
    host = Host(environ={})
    given = replace(setting(models=ModelStore.from_environment(host.model_cards())), width=SIZE[0], height=SIZE[1])
    yunet = YuNet(options_of(YuNet, {"score": 0.3}), given)
    yunet.open()
    scale = yunet.image_size()[0] / SIZE[0]
    seen = []
    for number, picture in enumerate(crossing.pictures, 1):
        large = torch.nn.functional.interpolate(picture[None], size=yunet.image_size()[::-1], mode="bilinear")
        (faces,) = yunet.detect(large, [number])
        seen.append(Sighting(number, False, tuple(face.scaled(1 / scale, 1 / scale) for face in faces), picture))
    found = owners(crossing, followed(seen))
    assert sorted(found) == [1, 2]
    assert sorted(tuple(track) for track in found.values()) == [(0,), (1,)]
