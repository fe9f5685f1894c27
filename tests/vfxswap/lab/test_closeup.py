"""Close-ups: drawn on a crop's own pixels, they show what a crop cut out of a plate shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.alignment import crop_of_type
from vfxswap.geometry import Pose
from vfxswap.lab.camera import Camera, View
from vfxswap.lab.chance import Range, drawn
from vfxswap.lab.closeup import Closeup, CropView, Finish, bare, crop_of, shot
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.expression import Expression
from vfxswap.lab.light import RIGS
from vfxswap.lab.looks import PERFORMERS, random_looks
from vfxswap.lab.parts import Label, microphone
from vfxswap.lab.performer import Detail, Stance, make_performer
from vfxswap.lab.render import Instant, draw, light_scene
from vfxswap.lab.scene import Scene
from vfxswap.ops.warp import cut

CROP = crop_of_type("whole", 64)
DETAIL = Detail(130, 144, 256)
GREY = torch.full((3, 8, 8), 0.18)
TURNED = Stance(Pose(20.0, -8.0, 12.0), (4.0, -2.0, 0.0), expression=Expression(jaw=0.5, smile=0.4))
PLAIN = Closeup(TURNED, RIGS["studio"], GREY, shadows=False)


@pytest.fixture(scope="module")
def ada() -> Scene:
    return bare(make_performer(PERFORMERS["ada"], DETAIL))


@pytest.fixture(scope="module")
def ada_as_ben() -> Scene:
    return bare(make_performer(PERFORMERS["ada"], DETAIL).wearing(PERFORMERS["ben"]))


def luma(image: Tensor) -> Tensor:
    return image.mean(0)


def test_a_ray_of_a_crop_goes_through_the_point_that_is_seen_there() -> None:
    plate = View(Camera(truck_cm=3.0, boom_cm=-1.0), 300, 400, (2.0, -5.0))
    matrix = np.array([[0.4, -0.3, 10.0], [0.3, 0.4, -60.0]])
    view = CropView.of(plate, matrix, 64)
    point = torch.tensor([[2.0, -3.0, 9.0]])
    (place,), _ = view.project(point)
    # A ray is asked for by a pixel's number; the crop is moved so that the point lies at that pixel's centre.
    shifted = CropView.of(
        plate, matrix + np.array([[0, 0, 20.5 - float(place[0])], [0, 0, 30.5 - float(place[1])]]), 64
    )
    (ray,) = shifted.rays(torch.tensor([30 * 64 + 20]))
    towards = point[0] - shifted.position
    assert torch.allclose(ray, towards / towards.norm(), atol=1e-4)


def test_it_is_the_crop_that_would_be_cut_out_of_a_plate(ada: Scene) -> None:
    """Drawn on a plate of 1080 lines and cut, against drawn on the crop itself."""
    (face,) = shot(ada, PLAIN, CROP)
    view = View(PLAIN.camera, 1080, 1080)
    instant = Instant((TURNED,), (0.0, 0.0, 0.0), PLAIN.lighting)
    light = light_scene(ada, instant, view.position, shadows=False)
    plate = draw(ada, instant, view, light, torch.full((3, 1300, 1300), 0.18)).image.permute(2, 0, 1)
    wanted = srgb_encoded(cut(plate, origin=(0, 0), plate_to_crop=face.plate_to_crop, size_px=64))
    inside = face.head[0] > 0.99
    assert inside.float().mean() > 0.3
    assert float((luma(face.image) - luma(wanted)).abs()[inside].mean()) < 0.02
    moved = torch.roll(wanted, 1, 2)
    error = (face.image - wanted).abs()[:, inside].mean()
    assert float(error) < 0.5 * float((face.image - moved).abs()[:, inside].mean())


def test_the_face_lies_as_the_crops_template_says(ada: Scene) -> None:
    (face,) = shot(ada, PLAIN, CROP)
    assert np.allclose(CROP.plate_to_crop(face.landmarks), np.eye(2, 3), atol=0.02)


def test_a_slip_moves_the_crop_and_the_landmarks_with_it(ada: Scene) -> None:
    moved = np.array([[1.0, 0.0, 0.1], [0.0, 1.0, -0.05]])
    (straight,), (slipped,) = (shot(ada, replace(PLAIN, slip=slip), CROP) for slip in (None, moved))
    shift = slipped.landmarks.points[:, :2] - straight.landmarks.points[:, :2]
    assert np.allclose(shift, [6.4, -3.2], atol=1e-3)
    aside, down = 6, -3
    seen = torch.roll(luma(straight.image), (down, aside), (0, 1))[8:-8, 8:-8]
    assert (luma(slipped.image)[8:-8, 8:-8] - seen).abs().mean() < 0.03


def test_a_truth_differs_inside_the_swaps_matte_alone(ada: Scene, ada_as_ben: Scene) -> None:
    own, truth = shot(ada, replace(PLAIN, finish=Finish(exposure=-0.3)), CROP, [ada_as_ben])
    difference = (own.image - truth.image).abs().amax(0)
    swap = torch.maximum(own.swap, truth.swap)[0]
    assert float(difference[swap == 0].max()) < 0.004
    assert float(difference[swap > 0.9].mean()) > 0.02
    assert np.array_equal(own.plate_to_crop, truth.plate_to_crop)


def test_what_stands_in_front_is_not_in_the_mattes(ada: Scene) -> None:
    things = tuple(replace(item, positions=item.positions + torch.tensor([4.0, -5.0, 16.0])) for item in microphone())
    (free,), (hidden,) = (shot(ada, replace(PLAIN, things=some), CROP) for some in ((), things))
    covered = hidden.labels == Label.OBJECT
    assert 50 < int(covered.sum()) < 2000
    assert float(hidden.face[0][covered].mean()) < 0.2
    assert float(free.face[0][covered].mean()) > 0.3
    assert float((free.face - hidden.face).min()) > -0.01


def test_an_exposure_keeps_the_tone_of_skin() -> None:
    """A dark face is not lit up to a pale one."""
    lit = replace(PLAIN, finish=Finish(exposure=0.0))
    levels = []
    for name in ("ada", "chi"):
        (face,) = shot(bare(make_performer(PERFORMERS[name], DETAIL)), lit, CROP)
        levels.append(float((luma(face.image) * face.swap[0]).sum() / face.swap.sum()))
    assert levels[1] < 0.75 * levels[0]


def test_blur_and_grain_change_the_picture_and_little_of_the_matte(ada: Scene) -> None:
    (clean,) = shot(ada, PLAIN, CROP)
    (soft,) = shot(ada, replace(PLAIN, finish=Finish(defocus_px=1.5, streak_px=(3.0, 1.0), softness=1.5, seed=3)), CROP)
    (grainy,) = shot(ada, replace(PLAIN, finish=Finish(grain=0.05, seed=3)), CROP)

    def detail(image: Tensor) -> float:
        return float((luma(image)[:, 1:] - luma(image)[:, :-1]).abs().mean())

    assert detail(soft.image) < 0.8 * detail(clean.image) < detail(clean.image) < detail(grainy.image)
    assert float((soft.face - clean.face).abs().mean()) < 0.08
    assert torch.equal(grainy.face, clean.face)


def test_the_same_numbers_draw_the_same_picture(ada: Scene) -> None:
    looks = PERFORMERS["ada"]
    one, again, other = (shot(ada, drawn(looks, 5, number), CROP)[0] for number in (3, 3, 4))
    assert torch.equal(one.image, again.image)
    assert torch.equal(one.face, again.face)
    assert not torch.equal(one.image, other.image)


def test_chance_keeps_to_its_limits() -> None:
    narrow = Range(yaw_degrees=10.0, pitch_degrees=4.0, roll_degrees=0.0, obstacles=0.0, slip=0.0)
    some = [drawn(random_looks(1), 2, number, narrow) for number in range(40)]
    assert max(abs(item.stance.pose.yaw) for item in some) <= 10
    assert max(abs(item.stance.pose.pitch) for item in some) <= 4
    assert all(item.stance.pose.roll == 0 for item in some)
    assert not any(item.things for item in some)
    assert all(np.allclose(item.slip, np.eye(2, 3)) for item in some if item.slip is not None)
    crowded = [drawn(random_looks(1), 2, number, Range(obstacles=1.0)) for number in range(10)]
    assert all(item.things for item in crowded)


def test_circumstances_are_as_various_as_they_may_be() -> None:
    some = [drawn(random_looks(number), 7, number) for number in range(60)]
    yaws = [item.stance.pose.yaw for item in some]
    assert min(yaws) < -35
    assert max(yaws) > 35
    assert 0.05 < np.mean([bool(item.things) for item in some]) < 0.45
    assert len({item.lighting for item in some}) > 55
    jaws = [item.stance.expression.jaw for item in some]
    assert min(jaws) == 0
    assert max(jaws) > 0.7


def test_the_crop_is_found_from_the_performers_own_points(ada: Scene) -> None:
    wide = replace(PLAIN, camera=Camera(distance_cm=60.0))
    (near,), (far,) = (shot(ada, item, CROP) for item in (wide, PLAIN))
    assert np.allclose(crop_of(ada.performers[0], wide, CROP), near.plate_to_crop)
    # Nearer, the nose is larger in the same crop.
    spread = [float(np.ptp(face.landmarks.region("nose")[:, 1])) for face in (near, far)]
    assert abs(spread[0] - spread[1]) > 0.05
