"""The stage `grain` on a shot of the lab: the grain that the plate has, and none where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vfxswap.frame import PastedFace
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.film import grain_field, with_grain
from vfxswap.lab.play import LabFrame, render_shot
from vfxswap.lab.shot import PRESETS, Lens
from vfxswap.score.texture import grain
from vfxswap.stage import Span
from vfxswap.testing import options_of, setting
from vfxswap_plugins.finish.grain import GrainMatch

WIDTH, HEIGHT = 320, 180


@cache
def shot() -> Sequence[LabFrame]:
    """Three clean frames of a talking face."""
    spec = PRESETS["talk"].model_copy(update={"lens": Lens(samples=2)})
    return tuple(render_shot(spec, range(1030, 1033), width=WIDTH, height=HEIGHT))


def codes(picture: Tensor, number: int, strength: float) -> Tensor:
    """`(3, H, W)` R'G'B' of a scene-linear picture with grain, rounded to 8 bits."""
    grainy = with_grain(picture, grain_field(HEIGHT, WIDTH, seed=3, frame=number), strength)
    return (srgb_encoded(grainy).clamp(0, 1) * 255).round() / 255


def pasted(strength: float) -> PastedFace:
    """The clean truth in a grainy plate."""
    frames = shot()
    plates = torch.stack([codes(frame.plate, frame.number, strength) for frame in frames])
    face = codes(frames[1].truth, 0, 0.0)
    matte = frames[1].matte[None]
    result = (torch.lerp(plates[1], face, matte[0]) * 255).round() / 255
    return PastedFace(result[None], matte, plates, tuple(frame.number for frame in frames), 1, place=0)


def stage(**options: object) -> GrainMatch:
    return GrainMatch(options_of(GrainMatch, options), setting(width=WIDTH, height=HEIGHT))


@pytest.mark.parametrize("strength", [0.02, 0.05])
def test_the_face_gets_the_plates_grain(strength: float) -> None:
    face = pasted(strength)
    weight = face.matte[0, 0]
    truth = codes(shot()[1].truth, shot()[1].number, strength)
    wanted = grain(truth, weight)
    before, after = grain(face.result[0], weight), grain(stage().finish(face)[0], weight)
    assert before < 0.6 * wanted
    assert after == pytest.approx(wanted, rel=0.15)


def test_a_clean_plate_gives_none() -> None:
    face = pasted(0.0)
    assert torch.equal(stage().finish(face), face.result)


def test_sharp_skin_is_no_grain() -> None:
    """A face that is softer than its clean plate stays so: what moves with the plate is texture."""
    face = pasted(0.0)
    soft = F.avg_pool2d(F.pad(face.result, (2, 2, 2, 2), mode="replicate"), 5, 1)
    blurred = PastedFace(soft, face.matte, face.plates, face.frames, face.center, place=0)
    changed = (stage().finish(blurred) - soft).square().mean().sqrt()
    assert float(changed) < 0.15 / 255


def test_frames_faces_and_seeds_have_noise_of_their_own() -> None:
    face = pasted(0.04)
    later = PastedFace(face.result, face.matte, face.plates, (1041, 1042, 1043), 1, place=0)
    second = PastedFace(face.result, face.matte, face.plates, face.frames, 1, place=1)
    found = [stage().finish(face), stage().finish(later), stage().finish(second), stage(seed=7).finish(face)]
    assert all(not torch.equal(found[0], other) for other in found[1:])
    assert torch.equal(found[0], stage().finish(face))


def test_amount_scales_it() -> None:
    face = pasted(0.04)
    half, whole = (stage(amount=amount).finish(face) - face.result for amount in (0.5, 1.0))
    torch.testing.assert_close(2 * half, whole, atol=2e-6, rtol=1e-3)
    assert torch.equal(stage(amount=0.0).finish(face), face.result)


def test_it_sees_its_neighbours() -> None:
    assert stage().window == Span(1, 1)
    assert stage(neighbours_frames=0).window == Span(0, 0)
