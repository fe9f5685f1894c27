from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from vfxswap.errors import UsageError
from vfxswap.frame import Detection, Face, FaceBatch
from vfxswap.geometry import REGIONS, Landmarks, Region
from vfxswap.identity import Identity
from vfxswap.ops.mesh import inside_polygon
from vfxswap.stage import Swapped
from vfxswap.testing import setting, synthetic_frame
from vfxswap_plugins.swappers.portrait import PortraitOptions, PortraitSwapper
from vfxswap_plugins.swappers.portrait_stills import still_weights

Pose = Callable[..., Landmarks]
Skin = Callable[..., Tensor]
Hero = Callable[..., Identity]
Batch = Callable[..., FaceBatch]


def swapper(**options: Any) -> PortraitSwapper:
    return PortraitSwapper(PortraitOptions(identity="hero", **{"relight": 0.0, **options}), setting())


def within(landmarks: Landmarks, region: Any, *, part: float = 1.0) -> Tensor:
    """The pixels of a crop inside an outline, or inside a smaller one of the same shape."""
    x, y = np.meshgrid(np.arange(128) + 0.5, np.arange(128) + 0.5)
    outline = landmarks.region(region)
    outline = outline.mean(axis=0) + part * (outline - outline.mean(axis=0))
    return torch.from_numpy(inside_polygon(np.column_stack([x.ravel(), y.ravel()]), outline).reshape(128, 128))


def one(result: Swapped) -> tuple[Tensor, Tensor]:
    return result.crops[0], result.mattes[0, 0]


def test_its_own_picture_comes_back(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    image, face = skin(), pose()
    crop, matte = one(swapper().swap(batch([image], [face]), hero((image, face))))
    torch.testing.assert_close(crop, image, rtol=0, atol=5e-3)
    # The drawn face is half an egg, whose rim the camera sees edge on.
    assert matte[within(face, "oval", part=0.85)].min() > 0.9
    assert matte[0].max() == 0
    assert matte[:, 0].max() == 0


def test_a_turned_and_enlarged_still_is_turned_and_reduced(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    plate, face = skin(0.2, 0.3, 0.4), pose()
    picture = skin()
    # A quarter turn and double size, exact for pixels: (x, y) -> (256 - 2 y, 2 x).
    still = functional.interpolate(picture[None], scale_factor=2, mode="bicubic")[0].rot90(-1, (1, 2)).contiguous()
    points = np.column_stack([256 - 2 * face.points[:, 1], 2 * face.points[:, 0], 2 * face.points[:, 2]])
    crop, matte = one(swapper().swap(batch([plate], [face]), hero((still, Landmarks(points, "mesh468")))))
    inside = matte > 0.99
    assert inside.sum() > 3500
    assert (crop - picture)[:, inside].abs().max() < 0.03
    assert torch.equal(crop[:, :10], plate[:, :10])


def test_outside_the_mesh_the_crop_is_the_plate(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    plate, face = skin(0.2, 0.3, 0.4), pose()
    crop, matte = one(swapper(relight=1.0).swap(batch([plate], [face]), hero((skin(), pose(yaw=10)))))
    outside = ~within(face, "oval") & (matte == 0)
    assert outside.sum() > 3000
    far = torch.zeros_like(outside)
    far[:8], far[-2:], far[:, :8], far[:, -8:] = True, True, True, True
    assert torch.equal(crop[:, far], plate[:, far])


def test_batches_do_not_matter(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    identity = hero((skin(), pose(yaw=-12)), (skin(0.7, 0.4, 0.3), pose(yaw=15, mouth=0.8)))
    faces = [pose(yaw=yaw, mouth=0.1 * i) for i, yaw in enumerate((-20, -3, 0, 4, 11))]
    images = [skin(0.3 + 0.1 * i) for i in range(5)]
    stage = swapper(relight=0.8)
    together = stage.swap(batch(images, faces), identity)
    for i in reversed(range(5)):
        alone = swapper(relight=0.8).swap(batch(images[i : i + 1], faces[i : i + 1]), identity)
        assert torch.equal(alone.crops[0], together.crops[i])
        assert torch.equal(alone.mattes[0], together.mattes[i])


def test_no_faces_is_no_work(skin: Skin, pose: Pose, hero: Hero) -> None:
    empty = FaceBatch(torch.zeros(0, 3, 64, 64), (), (), ())
    result = swapper().swap(empty, hero((skin(), pose())))
    assert result.crops.shape == (0, 3, 64, 64)
    assert result.mattes.shape == (0, 1, 64, 64)


@pytest.mark.parametrize(
    "case",
    [
        ("lips_inner", "auto", {"mouth": 1.0}, {"mouth": 0.0}, True),
        ("lips_inner", "auto", {"mouth": 1.0}, {"mouth": 0.95}, False),
        ("lips_inner", "auto", {"mouth": 0.4}, {"mouth": 1.0}, True),
        ("lips_inner", "plate", {"mouth": 1.0}, {"mouth": 1.0}, True),
        ("lips_inner", "still", {"mouth": 1.0}, {"mouth": 0.0}, False),
        ("left_eye", "auto", {"eyes": 1.0}, {"eyes": 0.0}, True),
        ("left_eye", "auto", {"eyes": 1.0}, {"eyes": 0.9}, False),
        ("right_eye", "plate", {"eyes": 1.0}, {"eyes": 1.0}, True),
        ("right_eye", "still", {"eyes": 1.0}, {"eyes": 0.0}, False),
    ],
)
def test_eyes_and_mouth_come_from_whoever_has_them(case: Any, pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    region, asked, plate, still, kept = case
    face = pose(**plate)
    option = {"mouth" if region == "lips_inner" else "eyes": asked}
    _, matte = one(swapper(**option).swap(batch([skin()], [face]), hero((skin(), pose(**still)))))
    middle = face.region(region).mean(axis=0).astype(int)
    value = matte[middle[1], middle[0]].item()
    assert (value < 0.15) if kept else (value > 0.85)


@pytest.mark.parametrize("moving", ["mouth", "eyes"])
def test_opening_does_not_pop(moving: str, pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    identity = hero((skin(), pose(mouth=0.5, eyes=0.6)))
    stage = swapper()
    faces = [pose(**{moving: float(amount)}) for amount in np.linspace(0, 1, 31)]
    mattes = [one(stage.swap(batch([skin()], [face]), identity))[1] for face in faces]
    assert max((after - before).abs().mean().item() for before, after in pairwise(mattes)) < 6e-3
    assert max((matte - mattes[0]).abs().max().item() for matte in mattes) > 0.3


def test_stills_change_over_with_the_pose_without_popping(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    red, blue = skin(0.8, 0.2, 0.2), skin(0.2, 0.2, 0.8)
    identity = hero((red, pose(yaw=-8)), (blue, pose(yaw=8)))
    stage = swapper()
    tones = []
    for yaw in np.linspace(-8, 8, 41):
        face = pose(yaw=float(yaw))
        crop, _ = one(stage.swap(batch([skin()], [face]), identity))
        tones.append(crop[0, within(face, "oval")].mean().item())
    assert tones[0] > 0.75
    assert tones[-1] < 0.25
    assert all(after - before < 2e-3 for before, after in pairwise(tones))
    assert min(after - before for before, after in pairwise(tones)) > -0.15


def test_weights_are_shares_that_change_gently() -> None:
    assert still_weights([0.1], mix=0.03) == (1.0,)
    assert still_weights([0.1, 0.2, 0.1], mix=0.03) == (0.5, 0.0, 0.5)
    first = [still_weights([0.1 + step / 1e4, 0.1], mix=0.03)[0] for step in range(-400, 401)]
    assert first[0] == 1.0
    assert first[-1] == 0.0
    assert max(before - after for before, after in pairwise(first)) < 0.01
    assert all(after <= before for before, after in pairwise(first))


def test_the_best_still_wins_by_expression_too(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    identity = hero((skin(0.8, 0.2, 0.2), pose(mouth=0.0)), (skin(0.2, 0.2, 0.8), pose(mouth=1.0)))
    stage = swapper(still_mix=0.001)
    for mouth, channel in ((0.05, 0), (0.95, 2)):
        crop, _ = one(stage.swap(batch([skin()], [pose(mouth=mouth)]), identity))
        assert crop[:, 60:70, 40:90].mean(dim=(1, 2)).argmax() == channel


def test_a_cheek_that_the_still_hides_fades_out(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    face = pose()
    left, right = (face.points[234], face.points[454])
    _, matte = one(swapper(margin=0.0).swap(batch([skin()], [face]), hero((skin(), pose(yaw=50)))))
    row = int(left[1])
    ends = [
        matte[row, int(left[0]) + 6 : int(left[0]) + 12].mean(),
        matte[row, int(right[0]) - 12 : int(right[0]) - 6].mean(),
    ]
    assert max(ends) > 0.9
    assert min(ends) < 0.4
    middle = face.region("nose").mean(axis=0).astype(int)
    assert matte[middle[1], middle[0]] > 0.9


def test_past_the_border_of_a_still_there_is_nothing(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    face = pose()
    cut = skin()[:, :, :60].contiguous()
    _, matte = one(swapper().swap(batch([skin()], [face]), hero((cut, face))))
    assert matte[:, 61:].max() == 0
    assert matte[64, 40:50].min() > 0.9


def test_the_light_follows_the_plate(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    face = pose()
    ramp = skin(grain=0.0) * (2 ** torch.linspace(-1.0, 1.0, 128))
    inside = within(face, "oval") & (torch.arange(128) > 40) & (torch.arange(128) < 88)

    def slope(amount: float) -> float:
        crop, _ = one(swapper(relight=amount).swap(batch([ramp], [face]), hero((skin(grain=0.0), face))))
        light = crop[1].log2()[inside]
        x = torch.arange(128).expand(128, 128)[inside].float()
        return float(((light - light.mean()) * (x - x.mean())).sum() / (x - x.mean()).square().sum() * 127)

    assert slope(0.0) == pytest.approx(0.0, abs=0.02)
    assert slope(1.0) == pytest.approx(2.0, abs=0.3)
    assert 0.45 * slope(1.0) < slope(0.5) < 0.75 * slope(1.0)


def test_texture_is_no_sharper_than_the_plate(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    checks = ((torch.arange(256)[:, None] + torch.arange(256)) % 2).float().expand(3, 256, 256).contiguous()
    face = pose()
    identity = hero((checks, Landmarks(face.points * 2, "mesh468")))
    faces = batch([skin()], [face])
    enlarged = FaceBatch(faces.crops, faces.landmarks, (np.array([(4.0, 0, 0), (0, 4.0, 0)]),), faces.frames)
    inside = within(face, "oval")
    for given in (faces, enlarged):
        assert one(swapper().swap(given, identity))[0][:, inside].std() < 0.06
    stripes = (torch.arange(256) // 4 % 2).float().expand(3, 256, 256).contiguous()
    identity = hero((stripes, Landmarks(face.points * 2, "mesh468")))
    sharp, soft = (one(swapper().swap(given, identity))[0][:, inside].std() for given in (faces, enlarged))
    assert soft < 0.5 * sharp


def _wider_nose(face: Landmarks, by: float) -> Landmarks:
    """The same face with wings of the nose farther out."""
    points = face.points.copy()
    points[list(_WINGS), 0] += by * np.sign(points[list(_WINGS), 0] - points[4, 0])
    return Landmarks(points, face.scheme)


_WINGS = (48, 49, 64, 98, 102, 115, 129, 131, 198, 209, 278, 279, 294, 327, 331, 344, 358, 360, 420, 429)


def _seen(stage: PortraitSwapper, faces: list[Landmarks]) -> None:
    """Shows a swapper the faces of a shot."""
    frames = [
        synthetic_frame(number).with_faces(
            [Face(Detection((0.0, 0.0, 128.0, 128.0), 1.0), landmarks=face, identity="hero")]
        )
        for number, face in enumerate(faces, 1)
    ]
    stage.survey(frames)


def test_the_identity_brings_its_proportions(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    """A mark on the wing of a wide nose lands farther out than the plate's narrow nose ends."""
    narrow = pose()
    wide = _wider_nose(narrow, 4.0)
    still = skin(grain=0.0)
    x, y = (round(float(value)) for value in wide.points[48, :2])
    still[:, y - 2 : y + 2, x - 2 : x + 2] = 0.0

    def dark_column(shape: float) -> float:
        stage = swapper(shape=shape, eyes="still", mouth="still")
        _seen(stage, [narrow, narrow, pose(yaw=8.0)])
        crop, _ = one(stage.swap(batch([skin(grain=0.0)], [narrow]), hero((still, wide))))
        dark = (0.4 - crop.mean(dim=0)[y - 6 : y + 6, :64]).clamp_min(0)
        return float((dark * (torch.arange(64) + 0.5)).sum() / dark.sum())

    at_plate, between, own = dark_column(0.0), dark_column(0.5), dark_column(1.0)
    assert own < between < at_plate
    assert 1.2 < at_plate - own < 5  # of 4; one still is believed in part, and less near the mouth


def test_proportions_stay_inside_the_outline_and_go_with_the_head(
    pose: Pose, skin: Skin, hero: Hero, batch: Batch
) -> None:
    stage, plain = swapper(shape=1.0), swapper(shape=0.0)
    shot = [pose(yaw=yaw) for yaw in (-10.0, 0.0, 10.0)]
    _seen(stage, shot)
    identity = hero((skin(), _wider_nose(pose(), 3.0)))
    for face in shot:
        image = skin(0.5, 0.5, 0.5)
        one_, other = (one(item.swap(batch([image], [face]), identity)) for item in (stage, plain))
        rim = within(face, "oval") & ~within(face, "oval", part=0.9)
        assert float((one_[0] - other[0]).abs().amax(dim=0)[rim].median()) < 0.02
        assert float((one_[1] - other[1]).abs()[rim].median()) < 0.02


def test_without_a_survey_the_plates_shape_stays(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    identity, faces = hero((skin(), _wider_nose(pose(), 3.0))), batch([skin()], [pose()])
    assert torch.equal(swapper(shape=1.0).swap(faces, identity).crops, swapper(shape=0.0).swap(faces, identity).crops)


def test_it_looks_at_frames_of_the_plate_alone() -> None:
    assert swapper(shape=0.0).survey_frames(1001, 1100) == ()
    found = swapper(shape_frames=4).survey_frames(1001, 1100)
    assert len(found) == 4
    assert swapper().survey_frames(7, 8) == [7, 8]


def test_sixty_eight_points_are_enough(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    image, face = skin(), _ibug(pose())
    crop, matte = one(swapper().swap(batch([image], [face]), hero((image, face))))
    torch.testing.assert_close(crop, image, rtol=0, atol=5e-3)
    assert matte[within(face, "oval")].min() > 0.9
    above = face.region("left_brow").mean(axis=0).astype(int)
    assert matte[above[1] - 4, above[0]] > 0.3


def _ibug(face: Landmarks) -> Landmarks:
    """Outlines of 468 points, thinned to iBUG's 68."""
    points = np.zeros((68, 2))
    wanted, given = REGIONS["ibug68"], REGIONS["mesh468"]
    rings: tuple[Region, ...] = ("left_eye", "right_eye", "lips_outer", "lips_inner")
    for name in rings:
        ring = face.points[list(given[name]), :2]
        count = len(wanted[name])
        picked = ring[np.arange(count) * len(ring) // count]
        # iBUG's rings start at the same corner and run the other way round.
        points[list(wanted[name])] = np.roll(picked[::-1], 1, axis=0)
    oval = np.roll(face.points[list(given["oval"]), :2], -9, axis=0)
    points[:17] = oval[:19][np.round(np.linspace(18, 0, 17)).astype(int)]
    brows: tuple[Region, ...] = ("left_brow", "right_brow")
    for name in brows:
        points[list(wanted[name])] = face.points[list(given[name])][5:, :2][::-1]
    points[list(wanted["nose"])] = face.points[list(given["nose"])][[0, 1, 2, 5, 10, 8, 9, 7, 11], :2]
    return Landmarks(points, "ibug68")


def test_landmarks_of_another_kind_are_refused(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    face = pose()
    five = Landmarks(face.five(), "five")
    with pytest.raises(UsageError, match=r"plate's landmarks are five.*mesh468"):
        swapper().swap(batch([skin()], [five]), hero((skin(), face)))
    with pytest.raises(UsageError, match="dense numbering"):
        swapper().swap(batch([skin()], [five]), hero((skin(), five)))
    with pytest.raises(UsageError, match="one dense numbering"):
        swapper().swap(batch([skin()], [face]), hero((skin(), face), (skin(), _ibug(face))))


def test_an_identity_without_stills_is_refused(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    with pytest.raises(UsageError, match="'hero' has no still in which a face was found"):
        swapper().swap(batch([skin()], [pose()]), hero())


def test_another_identity_of_the_same_name_is_looked_at_anew(pose: Pose, skin: Skin, hero: Hero, batch: Batch) -> None:
    stage, faces = swapper(), batch([skin()], [pose()])
    red = stage.swap(faces, hero((skin(0.9, 0.1, 0.1), pose()))).crops
    blue = stage.swap(faces, hero((skin(0.1, 0.1, 0.9), pose()))).crops
    assert red[0, 0, 64, 64] > 0.7
    assert blue[0, 0, 64, 64] < 0.3


@pytest.mark.parametrize("options", [{"relight": 1.5}, {"eyes": "mine"}, {"margin": -0.1}, {"strength": 1.0}])
def test_wrong_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PortraitOptions(identity="hero", **options)


def test_it_asks_for_stills() -> None:
    assert PortraitSwapper.wants_stills()
