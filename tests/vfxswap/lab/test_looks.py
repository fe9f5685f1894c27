"""What performers are made of: colours, geometry, shapes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from vfxswap.alignment import IBUG68_FROM_MESH
from vfxswap.geometry import Pose
from vfxswap.lab.camera import Camera, View
from vfxswap.lab.colour import lab_to_rgb, skin_rgb, srgb_decoded, srgb_encoded
from vfxswap.lab.expression import Expression, Shapes
from vfxswap.lab.film import defocused, disc, grain_field, with_grain
from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.maths import fractal_noise, rotation
from vfxswap.lab.mesh468 import ADDRESSES
from vfxswap.lab.performer import Detail, Stance, make_performer
from vfxswap.lab.template import MOUTH_Y, face_mask, template, upper_lid

_SMALL = Detail(100, 112, 128)


@pytest.mark.parametrize("angle", [-60, -30, 0, 20, 35, 50, 60])
def test_skin_has_the_typology_angle_that_was_asked_for(angle: float) -> None:
    linear = torch.tensor(skin_rgb(angle), dtype=torch.float64)
    to_xyz = torch.tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
        dtype=torch.float64,
    )
    xyz = (to_xyz @ linear) / torch.tensor([0.95047, 1.0, 1.08883], dtype=torch.float64)
    _, y, z = (xyz ** (1 / 3)).tolist()
    lightness, b = 116 * y - 16, 200 * (y - z)
    assert math.degrees(math.atan((lightness - 50) / b)) == pytest.approx(angle, abs=3.0)


def test_skin_grows_lighter_with_the_angle() -> None:
    tones = [skin_rgb(angle) for angle in range(-70, 66, 5)]
    for channel in range(3):
        assert all(a[channel] < b[channel] for a, b in itertools.pairwise(tones))
    assert all(red > green > blue > 0 for red, green, blue in tones)


def test_lab_white_is_white() -> None:
    assert lab_to_rgb((100.0, 0.0, 0.0)) == pytest.approx((1.0, 1.0, 1.0), abs=1e-4)


def test_srgb_goes_there_and_back() -> None:
    light = torch.linspace(0, 1, 101)
    torch.testing.assert_close(srgb_decoded(srgb_encoded(light)), light, atol=1e-6, rtol=1e-5)


def test_pose_signs_are_those_of_geometry() -> None:
    nose, crown = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 0.0])
    assert float((rotation(30, 0, 0) @ nose)[0]) == pytest.approx(0.5)
    assert float((rotation(0, 30, 0) @ nose)[1]) == pytest.approx(-0.5)
    assert float((rotation(0, 0, 30) @ crown)[0]) == pytest.approx(0.5), "clockwise as the image shows it"


def test_view_rays_go_through_the_pixels_they_name() -> None:
    view = View(Camera(truck_cm=3.0), 54, 96, (0.3, -0.2))
    pixels = torch.tensor([0, 95, 2000, 54 * 96 - 1])
    points = view.position + view.rays(pixels) * 70.0
    xy, _ = view.project(points)
    expected = torch.stack([pixels % 96 + 0.5, torch.div(pixels, 96, rounding_mode="floor") + 0.5], 1)
    torch.testing.assert_close(xy, expected, atol=1e-3, rtol=0)


def test_template_locates_addresses() -> None:
    grid = template(200, 220)
    points = torch.tensor([[0.0, -3.7], [3.1, 0.2], [-4.4, -2.0], [2.4, MOUTH_Y]])
    numbers, weights = grid.locate(grid.across(points), points[:, 1])
    found = (grid.address[numbers] * weights[..., None]).sum(1)
    torch.testing.assert_close(found[:, :2], points, atol=2e-2, rtol=0)
    torch.testing.assert_close(weights.sum(1), torch.ones(4))


def test_addresses_are_mirrored_and_in_the_face() -> None:
    spots = torch.tensor(ADDRESSES)
    assert spots.shape == (468, 2)
    mirrored = torch.stack([1 - spots[:, 0], spots[:, 1]], 1)
    distance = (spots[:, None] - mirrored[None]).abs().sum(-1).min(1).values
    assert float(distance.max()) < 0.025
    grid = template(200, 220)
    numbers, weights = grid.locate(*spots.unbind(1))
    inside = face_mask((grid.address[numbers] * weights[..., None]).sum(1))
    assert float((inside > 0.5).float().mean()) > 0.75
    assert len(set(IBUG68_FROM_MESH)) == 68


def test_performers_are_built_to_the_same_bits() -> None:
    one = make_performer(PERFORMERS["dov"], _SMALL)
    other = make_performer.__wrapped__(PERFORMERS["dov"], _SMALL)
    assert one is not other
    for name in ("head", "skin_map", "openness"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_another_face_changes_nothing_outside_the_mask() -> None:
    own = make_performer(PERFORMERS["ada"], _SMALL)
    worn = own.wearing(PERFORMERS["ben"])
    outside = face_mask(own.grid.address) == 0
    assert torch.equal(own.head[outside], worn.head[outside])
    assert torch.equal(own.openness[len(own.head) :], worn.openness[len(own.head) :])
    assert float((own.head - worn.head).abs().max()) > 0.1


def test_jaw_moves_the_chin_and_not_the_nose() -> None:
    grid = template(200, 220)
    performer = make_performer(PERFORMERS["ben"], Detail(200, 220, 64))
    shut, opened = (performer.shapes.applied(performer.head, Expression(jaw=jaw)) for jaw in (0.0, 0.8))
    spots = torch.tensor([[0.0, -3.7], [0.0, -10.5], [0.0, MOUTH_Y + 0.4], [0.0, MOUTH_Y - 0.5]])
    numbers, weights = grid.locate(grid.across(spots), spots[:, 1])
    drop = ((opened - shut)[numbers] * weights[..., None]).sum(1)[:, 1]
    assert abs(float(drop[0])) < 0.02
    assert float(drop[1]) < -1.0
    assert abs(float(drop[2])) < 0.15
    assert float(drop[3]) < -1.0


def test_neutral_expression_is_the_neutral_face() -> None:
    performer = make_performer(PERFORMERS["chi"], _SMALL)
    shapes = Shapes.of(performer.grid)
    torch.testing.assert_close(shapes.applied(performer.head, Expression()), performer.head, atol=1e-5, rtol=0)


def test_the_body_stays_when_the_head_turns() -> None:
    performer = make_performer(PERFORMERS["ben"], _SMALL)
    ahead, turned = (performer.posed(Stance(Pose(yaw, 0, 0), shift_cm=(5.0, 0.0, 0.0))) for yaw in (0.0, 40.0))
    start = len(performer.head)
    for part in performer.parts:
        moved = (turned - ahead)[start : start + len(part.positions)].abs().max()
        assert (float(moved) < 1e-4) == (part.name == "shirt"), part.name
        start += len(part.positions)


def test_a_blink_brings_the_lids_together() -> None:
    x = torch.linspace(-1.2, 1.2, 9)
    gap = [upper_lid(x, opening=1.0, blink=blink).max() for blink in (0.0, 0.5, 1.0)]
    assert gap[0] > gap[1] > gap[2]


def test_noise_is_seeded() -> None:
    one, same, other = (fractal_noise((20, 30), seed=seed, cells=(3, 4)) for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_grain_is_even_and_of_the_strength_that_was_asked_for() -> None:
    noise = grain_field(120, 160, seed=1, frame=1001)
    assert abs(float(noise.mean())) < 0.02
    assert float(noise.std()) == pytest.approx(1.0, abs=0.06)
    assert not torch.equal(noise, grain_field(120, 160, seed=1, frame=1002))
    grey = torch.full((3, 120, 160), 0.2)
    change = srgb_encoded(with_grain(grey, noise, 0.02)) - srgb_encoded(grey)
    assert float(change.std()) == pytest.approx(0.02 * 0.94, rel=0.1)


def test_defocus_keeps_light_and_spreads_it() -> None:
    assert float(disc(3.3).sum()) == pytest.approx(1.0)
    point = torch.zeros(1, 31, 31)
    point[0, 15, 15] = 1.0
    spread = defocused(point, 4.0)
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(spread[0, 15, 20]) == 0.0
    assert float(spread[0, 15, 18]) > 0
    assert defocused(point, 0.4) is point
