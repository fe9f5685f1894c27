"""Where stills go: by their landmarks, straight where that is enough, and bent where it is not."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.alignment import as_ibug68
from vfxswap.nets.heads import Collage, Moved, bending, reshaped
from vfxswap.testing import face_landmarks

SIDE = 64


def points(count: int = 2) -> Tensor:
    """`(N, 30, 2)` spread over the middle."""
    return torch.rand(count, 30, 2, generator=torch.Generator().manual_seed(2)) * 1.2 - 0.6


def at(places: Tensor, where: Tensor) -> Tensor:
    """Places `(N, 2, S, S)` read at points `(N, J, 2)`."""
    return functional.grid_sample(places, where[:, :, None], align_corners=False)[..., 0].mT


def test_stills_that_lie_alike_stay() -> None:
    there = points()
    places, bent = bending(Moved(there, there[:, None]), SIDE)
    line = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    assert torch.allclose(places[:, 0, 0], line.expand(2, SIDE, SIDE), atol=1e-3)
    assert torch.allclose(places[:, 0, 1], line[:, None].expand(2, SIDE, SIDE), atol=1e-3)
    assert float(bent.max()) < 1e-3


def test_an_affine_move_is_followed_everywhere_without_bending() -> None:
    there = points()
    turn, shift = torch.tensor([[0.9, 0.3], [-0.2, 1.1]]), torch.tensor([0.1, -0.2])
    places, bent = bending(Moved(there, (there @ turn + shift)[:, None]), SIDE)
    corner = torch.tensor([[[-0.95, -0.95], [0.9, -0.8]]]).expand(2, -1, -1)
    assert torch.allclose(at(places[:, 0], corner), corner @ turn + shift, atol=5e-3)
    assert float(bent.max()) < 5e-3


def test_each_landmark_finds_itself_in_each_still() -> None:
    there = points()
    stills = torch.stack([there + 0.05 * torch.sin(9 * there.flip(-1)), there * 0.8], 1)
    places, bent = bending(Moved(there, stills), SIDE)
    for number in range(2):
        found = at(places[:, number], there)
        assert float((found - stills[:, number]).abs().median()) < 0.01
    assert float(bent[:, 0].mean()) > 10 * float(bent[:, 1].mean()), "what is only smaller need not be bent"


def test_what_need_not_be_bent_is_seen() -> None:
    there = points(1)
    head = Collage(4, 2)
    torch.nn.init.zeros_(head.place.weight)
    torch.nn.init.zeros_(head.paint.conv.weight)
    moved = Moved(there, torch.stack([there, there + 0.2 * torch.sin(9 * there.flip(-1))], 1))
    pictures = torch.cat([torch.ones(1, 3, SIDE, SIDE), torch.zeros(1, 3, SIDE, SIDE)], 1)
    with torch.no_grad():
        shown = head(torch.zeros(1, 4, SIDE // 2, SIDE // 2), pictures, moved)
    assert float(shown[:, :3].mean()) > 0.75


def test_an_eye_that_shuts_is_seen_from_where_it_is_shut() -> None:
    """Lids move by little, which on a cheek would hardly count."""

    def face(eyes: float) -> Tensor:
        unit = np.array([(2.0, 0.0, -1.0), (0.0, 2.0, -1.0)])
        found = as_ibug68(face_landmarks(unit, mouth_open=0.0, eyes_open=eyes)).points[:, :2]
        return torch.as_tensor(found, dtype=torch.float32)

    wide, shut = face(1.0), face(0.1)
    head = Collage(4, 2)
    torch.nn.init.zeros_(head.place.weight)
    torch.nn.init.zeros_(head.paint.conv.weight)
    pictures = torch.cat([torch.ones(1, 3, SIDE, SIDE), torch.zeros(1, 3, SIDE, SIDE)], 1)
    eyes, cheek = wide[36:48].reshape(2, 6, 2).mean(1), wide[[48]] + torch.tensor([-0.15, -0.1])
    for points, expected in ((wide, 1.0), (shut, 0.0)):
        with torch.no_grad():
            shown = head(
                torch.zeros(1, 4, SIDE // 2, SIDE // 2), pictures, Moved(points[None], torch.stack([wide, shut])[None])
            )
        at_eyes, at_cheek = (float(at(shown[:, :3], where[None]).mean()) for where in (eyes, cheek))
        assert abs(at_eyes - expected) < 0.25
        assert abs(at_cheek - 0.5) < 0.1


def test_places_keep_their_bits_where_all_else_computes_in_fewer() -> None:
    there = points()
    moved = Moved(there, torch.stack([there, there + 0.04 * torch.sin(9 * there.flip(-1))], 1))
    exact = bending(moved, SIDE)
    with torch.autocast("cpu", torch.bfloat16):
        low = bending(moved, SIDE)
    for ours, theirs in zip(low, exact, strict=True):
        assert torch.equal(ours, theirs)


def test_a_still_is_bent_to_other_landmarks() -> None:
    there = points()[:, None]
    line = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    ramp = torch.stack([line.expand(SIDE, SIDE), line[:, None].expand(SIDE, SIDE), torch.zeros(SIDE, SIDE)])[None]
    ramp = ramp.expand(2, -1, -1, -1)  # each pixel says where it was
    assert torch.allclose(reshaped(ramp, there, there), ramp, atol=1e-3)
    wanted = there + 0.04 * torch.sin(7 * there.flip(-1))
    found = at(reshaped(ramp, there, wanted)[:, :2], wanted[:, 0])
    assert float((found - there[:, 0]).abs().median()) < 0.01
