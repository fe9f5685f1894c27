"""The comb: its parts keep pictures apart, grow without a jump, and go over into one another."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from vfxswap.errors import ShapeError, UsageError
from vfxswap.nets.comb import Comb
from vfxswap.nets.spec import CombSpec

TINY = CombSpec(32, ("ada", "ben"), widths=(8, 8, 4), code=12, style=4)


def comb(**changes: Any) -> Comb:
    """A tiny comb with settled random weights, whose people have two stills."""
    torch.manual_seed(7)
    said = {"size_px": 32, "identities": ("ada", "ben"), "widths": (8, 8, 4), "code": 12, "style": 4}
    model = Comb(CombSpec(**{**said, "stills": 2, "still_px": 32, "points": 9, **changes}))
    model.dress(*guises(len(model.spec.identities), model.spec))
    return model


def guises(count: int, spec: CombSpec) -> tuple[Tensor, Tensor]:
    """Stills and their landmarks, for so many people."""
    dice = torch.Generator().manual_seed(3)
    stills = torch.rand(count, 3 * spec.stills, spec.still_px, spec.still_px, generator=dice)
    return stills, torch.rand(count, spec.stills, spec.points, 2, generator=dice) - 0.5


@pytest.fixture
def pictures() -> Tensor:
    """`(6, 3, 32, 32)`."""
    return torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_a_face_goes_in_and_a_face_and_its_matte_come_out(pictures: Tensor) -> None:
    code = comb().encode(pictures)
    assert code.shape == (6, 12)
    assert torch.allclose(code.square().mean(1), torch.ones(6), atol=1e-3)
    out = comb().decode(code, "ben")
    assert out.image.shape == (6, 3, 32, 32)
    assert out.matte.shape == (6, 1, 32, 32)
    assert 0 < float(out.matte.detach().min()) < float(out.matte.detach().max()) < 1


@pytest.mark.parametrize("stills", [0, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_a_batch_is_its_faces_one_by_one(pictures: Tensor, shared: bool, stills: int) -> None:
    model = comb(shared=shared, stills=stills).eval()
    with torch.no_grad():
        whole = model(pictures, "ada")
        single = [model(picture[None], "ada") for picture in pictures]
    assert torch.allclose(whole.image, torch.cat([out.image for out in single]), atol=1e-5)
    assert torch.allclose(whole.matte, torch.cat([out.matte for out in single]), atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_one_batch_may_hold_faces_for_several_decoders(pictures: Tensor, shared: bool) -> None:
    model = comb(shared=shared, identities=("ada", "ben", "cy")).eval()
    who = [2, 0, 1, 1, 0, 2]
    with torch.no_grad():
        code = model.encode(pictures)
        mixed = model.decode_each(code, who)
        for place, index in enumerate(who):
            alone = model.decode(code[place : place + 1], model.spec.identities[index])
            assert torch.allclose(mixed.image[place], alone.image[0], atol=1e-5)
            assert torch.allclose(mixed.matte[place], alone.matte[0], atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_landmarks_are_placed_without_a_picture(pictures: Tensor, shared: bool) -> None:
    model = comb(shared=shared, identities=("ada", "ben", "cy")).eval()
    who = [2, 0, 1, 1, 0, 2]
    with torch.no_grad():
        code = model.encode(pictures)
        assert torch.allclose(model.place_each(code, who), model.decode_each(code, who).points, atol=1e-6)
    with pytest.raises(ShapeError, match="stills"):
        comb(stills=0).place_each(code, [0] * 6)


def test_faces_are_shown_as_fine_as_their_stills(pictures: Tensor) -> None:
    """Averaged down they are what was learnt; what is finer is the stills'."""
    model = comb(still_px=64).eval()
    assert model.spec.detail == 2
    larger = torch.nn.functional.interpolate(pictures, scale_factor=2.0)
    with torch.no_grad():
        code = model.encode(larger)
        assert torch.allclose(code, model.encode(pictures), atol=1e-5)
        fine, learnt = model.decode(code, "ada", fine=True), model.decode(code, "ada")
        assert fine.image.shape == (6, 3, 64, 64)
        assert fine.matte.shape == (6, 1, 64, 64)
        assert learnt.image.shape == (6, 3, 32, 32)
        assert torch.equal(fine.points, learnt.points)
        model.stills.data = torch.nn.functional.avg_pool2d(model.stills.data, 2).repeat_interleave(2, 2)
        model.stills.data = model.stills.data.repeat_interleave(2, 3)
        smooth = model.decode(code, "ada", fine=True).image
    finest = [torch.nn.functional.avg_pool2d(image, 2) for image in (fine.image, smooth)]
    assert float((finest[1] - learnt.image).abs().mean()) < 0.1 * float(learnt.image.std())
    assert float((fine.image - smooth).abs().mean()) > 2 * float((finest[0] - finest[1]).abs().mean())
    assert comb(stills=0).spec.detail == 1


def test_people_have_their_own_decoders(pictures: Tensor) -> None:
    model = comb()
    model(pictures, "ada").image.sum().backward()
    assert all(weight.grad is None for weight in model.trunks[1].parameters())
    assert all(weight.grad is not None for name, weight in model.trunks[0].named_parameters() if "heads" in name)


@pytest.mark.parametrize("stills", [0, 2])
def test_growing_changes_nothing_at_first_and_all_in_the_end(pictures: Tensor, stills: int) -> None:
    model = comb(stills=stills, still_px=64).eval()
    larger = torch.nn.functional.interpolate(pictures, scale_factor=2.0)  # its mean over 2x2 is the picture exactly
    with torch.no_grad():
        before = model(pictures, "ada")
        grown = model.grown().eval()
        after = grown(larger, "ada")
        assert grown.spec.size_px == 64
        assert torch.equal(before.points, after.points)
        for old, new in zip(before[:2], after[:2], strict=True):
            wide = torch.nn.functional.interpolate(old, scale_factor=2.0)
            assert torch.allclose(wide, new, atol=1e-5)
        grown.faded(0.5)
        assert not torch.allclose(grown(larger, "ada").image, after.image, atol=1e-3)
        grown.faded(1.0)
        settled = grown.settled()
        assert torch.equal(settled(larger, "ada").image, grown(larger, "ada").image)
    assert settled.spec.fade == 1
    assert len(settled.state_dict()) < len(grown.state_dict())
    assert settled.settled() is settled


def test_a_comb_that_did_not_grow_does_not_fade(pictures: Tensor) -> None:
    model = comb()
    model.faded(0.3)
    assert model.spec.fade == 1


def test_one_face_becomes_another_by_degrees(pictures: Tensor) -> None:
    model = comb().eval()
    with torch.no_grad():
        code = model.encode(pictures)
        ends = model.decode(code, "ada"), model.decode(code, "ben")
        # Stills are resampled, so that the ends are not exact where these are as noisy as here.
        assert torch.allclose(model.morphed(code, "ada", "ben", 0.0).image, ends[0].image, atol=1e-3)
        assert torch.allclose(model.morphed(code, "ada", "ben", 1.0).image, ends[1].image, atol=1e-3)
        middle = model.morphed(code, "ada", "ben", torch.tensor(0.5))
    assert not torch.allclose(middle.image, ends[0].image, atol=1e-3)


@pytest.mark.parametrize("shared", [False, True])
def test_a_decoder_between_two_is_what_is_morphed(pictures: Tensor, shared: bool) -> None:
    with torch.no_grad():
        model = comb(shared=shared)
        code = model.encode(pictures)
        for amount in (0.0, 0.3, 1.0):
            morphed, between = model.morphed(code, "ada", "ben", amount), model.between("ada", "ben", amount)
            assert torch.allclose(between(code).image, morphed.image, atol=1e-6)
            assert torch.allclose(between(code).matte, morphed.matte, atol=1e-6)
        before = model.decode(code, "ada").image
        assert torch.allclose(model.between("ada", "ben", 0.0)(code).image, before, atol=1e-3)
        assert torch.equal(model.decode(code, "ada").image, before)


def test_a_base_is_recast_as_copies_of_itself(pictures: Tensor) -> None:
    base = comb(shared=True, identities=("p1", "p2", "p3")).eval()
    cast = base.recast(("hero",), *base.guise(1)).eval()
    with torch.no_grad():
        assert torch.allclose(cast(pictures, "hero").image, base(pictures, "p2").image, atol=1e-6)
        cast.trunks[0].line.weight.add_(1)  # type: ignore[union-attr,operator]
        assert not torch.allclose(cast(pictures, "hero").image, base(pictures, "p2").image, atol=1e-3)
    with pytest.raises(UsageError, match="only a base"):
        cast.recast(("x",), *base.guise(0))


def test_who_share_a_trunk_are_shown_by_given_stills_that_no_file_keeps(pictures: Tensor) -> None:
    base, own = comb(shared=True), comb()
    assert not {"stills", "points"} & set(base.state_dict())
    assert {"stills", "points"} <= set(own.state_dict())
    assert "stills" not in dict(base.named_parameters())
    with torch.no_grad():
        before = base(pictures, "ben").image
        base.dress(1 - base.stills, base.points)
        assert not torch.allclose(base(pictures, "ben").image, before, atol=0.05)
    with pytest.raises(UsageError, match="shows nobody"):
        Comb(base.spec)(pictures, "ben")


def test_the_first_pictures_show_the_person() -> None:
    """Before anything is learnt a decoder with stills gives something between these."""
    model = comb(size_px=64, still_px=64).eval()
    model.dress(torch.full_like(model.stills, 0.3), model.points)
    with torch.no_grad():
        out = model(torch.rand(2, 3, 64, 64), "ada")
    assert float((out.image - 0.3).abs().mean()) < 0.2


def test_the_first_pictures_are_sane() -> None:
    # The picture must start near grey with small features, or learning begins with a blow.
    with torch.no_grad():
        out = comb(size_px=64, stills=0, widths=(16, 16, 8), code=32)(torch.rand(2, 3, 64, 64), "ada")
    assert 0.2 < float(out.image.mean()) < 0.8
    assert float(out.image.std()) < 1.0


def test_specs_are_read_strictly() -> None:
    data = json.loads(json.dumps(TINY.to_dict()))
    assert CombSpec.from_dict(data) == TINY
    for wrong in (
        {**data, "depth": 3},
        {**data, "code": "12"},
        {**data, "shared": 1},
        {**data, "widths": 8},
        {**data, "widths": [8, 8, 4.5]},
        {**data, "identities": [1]},
        {key: value for key, value in data.items() if key != "fade"},
    ):
        with pytest.raises(UsageError, match="description"):
            CombSpec.from_dict(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size_px": 100}, "choose a size that 8 divides"),
        ({"size_px": 1024}, "1 to 16"),
        ({"widths": ()}, "levels"),
        ({"code": 0}, "1 or more"),
        ({"identities": ("a", "a")}, "each its own"),
        ({"stills": -1}, "stills"),
        ({"fade": 1.5}, "fade"),
        ({"fade": math.nan}, "fade"),
    ],
)
def test_specs_that_make_no_net_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        comb(**change)


def test_wrong_pictures_and_unknown_people_are_refused(pictures: Tensor) -> None:
    with pytest.raises(ShapeError, match=r"\(N, 3, 32, 32\), got \(6, 3, 16, 16\)"):
        comb().encode(pictures[:, :, :16, :16])
    with pytest.raises(UsageError, match="'cleo'; it has ada, ben"):
        comb().decode(torch.zeros(1, 12), "cleo")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's exporter of itself
def test_it_exports_as_plain_onnx_ops(pictures: Tensor, tmp_path: Any) -> None:
    class Way(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.comb = comb().eval()

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            image, matte, _ = self.comb(images, "ben")
            return image, matte

    way, path = Way().eval(), tmp_path / "comb.onnx"
    program = torch.onnx.export(way, (pictures,), dynamo=True, opset_version=18, verbose=False)
    assert program is not None
    program.save(path)
    assert {node.domain for node in onnx.load(path).graph.node} <= {""}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image, matte = session.run(None, {session.get_inputs()[0].name: pictures.numpy()})
    with torch.no_grad():
        wanted = way(pictures)
    np.testing.assert_allclose(image, wanted[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(matte, wanted[1].numpy(), atol=1e-4)
