"""What a played shot promises: same bits, exact truth, honest mattes and landmarks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from vfxswap.errors import UsageError
from vfxswap.geometry import REGIONS
from vfxswap.lab.camera import Camera
from vfxswap.lab.devices import moved
from vfxswap.lab.looks import PERFORMERS, Hair
from vfxswap.lab.motion import Acting
from vfxswap.lab.parts import Label
from vfxswap.lab.play import LabFrame, Stage, build, render_shot
from vfxswap.lab.shot import Cut, Lens, Lights, Role, ShotSpec

Shoot = Callable[..., Stage]


def _same(one: LabFrame, other: LabFrame) -> None:
    for name in ("plate", "truth", "matte", "head", "labels", "depth", "uv", "motion"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    for a, b in zip(one.faces, other.faces, strict=True):
        assert np.array_equal(a.mesh.points, b.mesh.points)


def test_two_builds_give_the_same_bits(tiny_spec: Callable[..., ShotSpec], tiny_stage: Stage) -> None:
    again = build(tiny_spec(), width=128, height=72)
    _same(tiny_stage.frame(1003), again.frame(1003))


def test_a_frame_alone_equals_the_frame_in_a_sequence(tiny_spec: Callable[..., ShotSpec]) -> None:
    spec = tiny_spec(
        lens=Lens(samples=3, grain=0.05, shake=0.01),
        lights=Lights(flicker=0.3),
    )
    sequence = list(render_shot(spec, [1003, 1004, 1005], width=96, height=54))
    (alone,) = render_shot(spec, [1005], width=96, height=54)
    _same(sequence[-1], alone)
    assert not torch.equal(sequence[0].plate, sequence[1].plate)


def test_truth_differs_inside_the_matte_only(tiny_stage: Stage) -> None:
    frame = tiny_stage.frame(1005)
    change = (frame.truth - frame.plate).abs().amax(0)
    outside = frame.matte[0] == 0
    assert float(change[outside].max()) < 1e-2
    assert float(change[frame.matte[0] > 0.9].mean()) > 0.01
    assert bool((change[:, :20] == 0).all()), "the backdrop is the same to the bit"


def test_mattes_and_layers_are_in_range(tiny_stage: Stage) -> None:
    frame = tiny_stage.frame(1001)
    assert frame.plate.shape == frame.truth.shape == (3, 72, 128)
    for matte in (frame.matte, frame.head):
        assert matte.shape == (1, 72, 128)
        assert float(matte.min()) == 0.0
        assert 0.99 < float(matte.max()) <= 1.0
    assert bool((frame.head >= frame.matte - 1e-6).all()), "a face is part of a head"
    assert set(frame.labels.flatten().tolist()) >= {Label.BACKGROUND, Label.SKIN, Label.HAIR, Label.CLOTH}
    heads = frame.uv[0] >= 0
    assert bool((frame.depth[heads] < 130).all())
    assert torch.isfinite(frame.plate).all()
    assert torch.isfinite(frame.truth).all()


def test_landmarks_lie_in_the_face_matte(tiny_stage: Stage) -> None:
    for number in (1001, 1012, 1024):
        frame = tiny_stage.frame(number)
        (face,) = frame.faces
        inner = [
            index
            for name in ("left_eye", "right_eye", "lips_outer", "nose")
            for index in REGIONS["mesh468"][name]
            if face.visible[index]
        ]
        x, y = face.mesh.points[inner, 0].astype(int), face.mesh.points[inner, 1].astype(int)
        assert len(inner) > 40
        assert float(frame.matte[0, y, x].min()) > 0.5


def test_numberings_agree(tiny_stage: Stage) -> None:
    (face,) = tiny_stage.frame(1001).faces
    assert face.ibug68.points.shape == (68, 3)
    five, dense = face.five.points, face.mesh.five()
    np.testing.assert_array_equal(five, dense)
    assert five[0, 0] < five[2, 0] < five[1, 0]
    assert five[0, 1] < five[2, 1] < five[3, 1]
    # Each eye of the 68 lies within its outline of the mesh.
    for name in ("left_eye", "right_eye"):
        outline, few = face.mesh.region(name), face.ibug68.region(name)
        assert (few.min(0) >= outline.min(0) - 1e-9).all()
        assert (few.max(0) <= outline.max(0) + 1e-9).all()


def test_nose_is_nearer_than_the_edge_of_the_face(tiny_stage: Stage) -> None:
    (face,) = tiny_stage.frame(1001).faces
    depth = face.mesh.points[:, 2]
    assert depth[1] < depth[[10, 152, 234, 454]].min()
    assert abs(float(depth.mean())) < 1e-3


def test_far_cheek_is_hidden_in_profile(shoot: Shoot) -> None:
    role = Role(looks=PERFORMERS["ada"], acting=Acting(yaw_degrees=0, turn=(70.0, 70.0)))
    (face,) = shoot(roles=(role,)).frame(1001).faces
    assert face.pose.yaw == pytest.approx(70.0)
    # The nose points to the image's right, so the far side is the image's right.
    assert face.visible[[50, 205, 36]].all()
    assert not face.visible[[263, 280, 425, 266]].any()


def test_two_performers_are_two_tracks(shoot: Shoot) -> None:
    stage = shoot(
        roles=(
            Role(looks=PERFORMERS["ada"], face=PERFORMERS["ben"], place_cm=(-13.0, 0.0, 0.0)),
            Role(looks=PERFORMERS["chi"], place_cm=(13.0, 0.0, 0.0)),
        )
    )
    frame = stage.frame(1001)
    left, right = frame.faces
    assert (left.track, right.track) == (0, 1)
    assert left.box[2] < right.box[0]
    changed = (frame.truth - frame.plate).abs().amax(0) > 0
    assert bool(changed[:, :48].any())
    assert not bool(changed[:, 60:].any()), "who is not swapped stays as it is"
    assert float(frame.matte[:, :, 60:].max()) == 0


def test_cut_changes_the_camera_at_its_frame(shoot: Shoot) -> None:
    stage = shoot(cuts=(Cut(frame=1003, camera=Camera(focal_mm=90.0)),))
    eyes = [float(np.ptp(stage.frame(number).faces[0].five.points[:2, 0])) for number in (1001, 1002, 1003)]
    assert eyes[1] == pytest.approx(eyes[0], rel=0.1)
    assert eyes[2] == pytest.approx(1.8 * eyes[1], rel=0.1)
    assert float(stage.frame(1002).motion.abs().max()) == 0, "no motion over a cut"


def test_motion_leads_to_the_next_frame(shoot: Shoot) -> None:
    stage = shoot(roles=(Role(looks=PERFORMERS["ada"], acting=Acting(yaw_degrees=0, turn=(-30.0, 30.0), talk=1.0)),))
    now, later = stage.frame(1005), stage.frame(1006)
    places, moved = now.faces[0].mesh.points[:, :2], later.faces[0].mesh.points[:, :2]
    chosen = [index for index in (6, 197, 4, 50, 280, 151) if now.faces[0].visible[index]]
    assert len(chosen) >= 5
    for index in chosen:
        x, y = places[index].astype(int)
        np.testing.assert_allclose(now.motion[:, y, x].numpy(), moved[index] - places[index], atol=0.35)
    assert float(np.abs(moved - places).max()) > 0.5


def test_microphone_hides_the_face(shoot: Shoot) -> None:
    with_it, without = shoot(occluder="microphone").frame(1012), shoot().frame(1012)
    assert bool((with_it.labels == Label.OBJECT).any())
    assert float(with_it.matte.sum()) < 0.97 * float(without.matte.sum())
    assert with_it.faces[0].visible.sum() < without.faces[0].visible.sum()
    outside = with_it.matte[0] == 0
    assert float((with_it.truth - with_it.plate).abs().amax(0)[outside].max()) < 1e-2


def test_blink_closes_the_outlines_of_the_eyes(shoot: Shoot) -> None:
    role = Role(looks=PERFORMERS["ada"], acting=Acting(yaw_degrees=0, blinks_per_minute=60))
    stage = shoot(roles=(role,), rate=96, frames=(1001, 1060))
    blinks = {number: stage.instant(number).stances[0].expression.blink_left for number in range(1001, 1061)}
    opened, shut = min(blinks, key=blinks.__getitem__), max(blinks, key=blinks.__getitem__)
    assert blinks[opened] == 0
    assert blinks[shut] > 0.9
    gap = [float(np.ptp(stage.frame(frame).faces[0].mesh.region("left_eye")[:, 1])) for frame in (opened, shut)]
    assert gap[1] < 0.6 * gap[0]


def test_light_and_grain_change_the_picture_alone(shoot: Shoot) -> None:
    plain, dim = shoot().frame(1012), shoot(lights=Lights(shadows=False, dim=0.8)).frame(1012)
    grainy = shoot(lens=Lens(samples=2, grain=0.05)).frame(1012)
    assert float(dim.plate[:, 20:30, 40:50].mean()) < 0.5 * float(plain.plate[:, 20:30, 40:50].mean())
    assert torch.equal(dim.matte, plain.matte)
    assert torch.equal(grainy.matte, plain.matte)
    assert 0.001 < float((grainy.plate - plain.plate).abs().mean()) < 0.05
    assert torch.equal((grainy.plate != plain.plate).any(), torch.tensor(True))


def test_exposure_multiplies_light(shoot: Shoot) -> None:
    plain, bright = shoot().frame(1001), shoot(lens=Lens(samples=2, exposure_stops=1.5)).frame(1001)
    torch.testing.assert_close(bright.plate, plain.plate * 2**1.5, rtol=1e-5, atol=1e-6)
    assert torch.equal(bright.matte, plain.matte)


def test_defocus_softens_picture_and_matte(shoot: Shoot) -> None:
    sharp, soft = shoot().frame(1024), shoot(lens=Lens(samples=2, defocus=(0.0, 0.06))).frame(1024)

    def edges(image: torch.Tensor) -> float:
        return float(image.diff(dim=-1).abs().max())

    assert edges(soft.matte) < 0.8 * edges(sharp.matte)
    assert edges(soft.plate) < 0.8 * edges(sharp.plate)


def test_shadows_darken(shoot: Shoot) -> None:
    lit, shaded = shoot().frame(1001).plate, shoot(lights=Lights()).frame(1001).plate
    assert float(shaded.mean()) < float(lit.mean())


@pytest.mark.parametrize("number", [1000, 1025])
def test_frames_outside_the_shot_are_refused(tiny_stage: Stage, number: int) -> None:
    with pytest.raises(UsageError, match=rf"frame {number} is outside shot 'tiny', which has frames 1001-1024"):
        tiny_stage.frame(number)


def test_senseless_sizes_are_refused(tiny_spec: Callable[..., ShotSpec]) -> None:
    with pytest.raises(UsageError, match=r"16x9 is outside 32\.\.8192"):
        build(tiny_spec(), width=16, height=9)


def test_moving_keeps_everything_but_the_place(tiny_stage: Stage) -> None:
    again = moved(tiny_stage.plate, torch.device("cpu"))
    assert torch.equal(again.fixed, tiny_stage.plate.fixed)
    assert again.performers[0].looks == tiny_stage.plate.performers[0].looks
    elsewhere = moved(tiny_stage.plate, torch.device("meta"))
    assert elsewhere.solid.device.type == "meta"
    performer = elsewhere.performers[0]
    assert {performer.head.device.type, performer.eyes[0].device.type, performer.shapes.jaw.device.type} == {"meta"}
    assert performer.parts[0].positions.device.type == performer.grid.address.device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_renders_the_same_picture(tiny_spec: Callable[..., ShotSpec], tiny_stage: Stage) -> None:
    stage = build(tiny_spec(), width=128, height=72, device="cuda")
    frame, again, expected = stage.frame(1005), stage.frame(1005), tiny_stage.frame(1005)
    _same(frame, again)
    # A pixel whose centre lies on an edge may fall to either side.
    assert float(((frame.plate - expected.plate).abs().amax(0) > 1e-3).float().mean()) < 0.01
    np.testing.assert_allclose(frame.faces[0].mesh.points, expected.faces[0].mesh.points, atol=1e-2)


def test_glass_lets_the_face_through_and_mirrors_the_room(shoot: Shoot) -> None:
    acting = Acting(yaw_degrees=0)
    with_it, without = (
        shoot(roles=(Role(looks=PERFORMERS["dov"].model_copy(update={"glasses": worn}), acting=acting),)).frame(1001)
        for worn in (True, False)
    )
    seen = (with_it.labels == Label.EYE) & (without.labels == Label.EYE)
    assert int(seen.sum()) > 4
    assert not torch.equal(with_it.plate[:, seen], without.plate[:, seen])
    torch.testing.assert_close(with_it.plate[:, seen], 0.9 * without.plate[:, seen], atol=0.12, rtol=0.3)
    assert torch.equal(with_it.depth[seen], without.depth[seen]), "glass has no depth of its own"


def test_nothing_looks_out_of_the_back_of_a_head(shoot: Shoot) -> None:
    bald = PERFORMERS["chi"].model_copy(update={"hair": Hair(style="bald")})
    frame = shoot(roles=(Role(looks=bald, acting=Acting(yaw_degrees=0, turn=(180.0, 180.0))),)).frame(1001)
    assert bool((frame.labels == Label.SKIN).any())
    assert not bool(((frame.labels == Label.EYE) | (frame.labels == Label.MOUTH)).any())
