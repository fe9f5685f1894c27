"""Training of the occlusion net: what is pasted over faces, settings, checkpoints, the file that is made."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vfxswap.alignment import crop_of_type
from vfxswap.errors import ExitCode, PipelineError, UsageError
from vfxswap.faceset import Faceset, FacesetInfo, FacesetWriter
from vfxswap.geometry import Landmarks
from vfxswap.identity import Consent
from vfxswap.nets.occlusion import ARCHITECTURE, OcclusionNet, OcclusionSpec
from vfxswap.testing import synthetic_plate
from vfxswap.trained import load_net, read_card
from vfxswap.training import occlusion_run
from vfxswap.training.occluders import covered
from vfxswap.training.occlusion import Plan, batch_of, held_out_score, loss_of, numbers_at, rate_at, read_faces, score
from vfxswap.training.occlusion_run import STATE, Told, train_occlusion
from vfxswap.training.occlusion_settings import is_occlusion, load

SIZE = 32
CPU = torch.device("cpu")
CONSENT = {
    "performer": "a drawn face",
    "grantor": "nobody",
    "productions": ["lab"],
    "purposes": ["train"],
    "from": date(2020, 1, 1),
    "until": date(2090, 1, 1),
    "scope": "tests",
}
TOML = """\
[train]
what = "occlusion"
production = "lab"
purpose = "train"
out = "out"
facesets = ["drawn/*"]
held_out = ["drawn/one"]
size = 32
iterations = 8
batch = 4
save_every = 3
"""


def disc(size: int, at: tuple[float, float], radius: float) -> Tensor:
    place = torch.arange(size) + 0.5
    distance = ((place[None] - at[0]) ** 2 + (place[:, None] - at[1]) ** 2).sqrt()
    return (radius + 0.5 - distance).clamp(0, 1)[None]


def write(folder: Path, *, count: int = 6, mattes: bool = True, consent: Consent | None = None) -> Faceset:
    """Discs on noise, with landmarks of the drawn face: all that a face is to a net that has seen nothing else."""
    crop = crop_of_type("whole", SIZE)
    plain = synthetic_plate().landmarks
    marks = plain.mapped(crop.plate_to_crop(plain)) if plain.scheme != "five" else Landmarks(plain.points, "five")
    info = FacesetInfo(identity=folder.name, consent=consent or Consent.model_validate(CONSENT))
    writer = FacesetWriter(folder, crop, info)
    for number in range(count):
        generator = torch.Generator().manual_seed(number)
        matte = disc(SIZE, (15 + number % 3, 17 - number % 2), 9)
        skin = torch.tensor([0.8, 0.6, 0.5])[:, None, None]
        image = 0.3 * torch.rand(3, SIZE, SIZE, generator=generator) * (1 - matte) + skin * matte
        writer.add(image, marks, source="drawn", frame=number + 1, matte=matte if mattes else None)
    return writer.finish()


@pytest.fixture
def settled(tmp_path: Path) -> Callable[..., Path]:
    """Writes two facesets and a training file, with changes of its text."""

    def made(old: str = "", new: str = "") -> Path:
        for name in ("one", "two"):
            if not (tmp_path / "drawn" / name).exists():
                write(tmp_path / "drawn" / name)
        path = tmp_path / "occlusion.toml"
        path.write_text(TOML.replace(old, new) if old else TOML, encoding="utf-8")
        return path

    return made


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A net of a few channels."""
    monkeypatch.setattr(occlusion_run, "OcclusionSpec", lambda size: OcclusionSpec(size, (4, 8), 4))


def test_what_is_pasted_is_out_of_the_matte_and_its_shadow_is_not() -> None:
    images, mattes = torch.full((16, 3, 48, 48), 0.6), torch.ones(16, 1, 48, 48)
    eyes = torch.tensor([[18.0, 20.0], [30.0, 20.0]]).expand(16, 2, 2)
    seen, left = covered(images, mattes, eyes, random.Random(3), share=1.0)
    assert float(left.min()) >= 0
    assert float(left.max()) <= 1
    assert (left < 0.5).any((1, 2, 3)).sum() >= 12  # some lie beside the picture
    shadow = (seen - images).abs().amax(1, keepdim=True)[left > 0.999]
    assert float(shadow.max()) > 0.05
    assert float(seen.min()) >= 0
    assert float(seen.max()) <= 1
    hidden = (left < 0.01).expand_as(seen)
    assert float((seen - images).abs()[hidden].mean()) > 0.1


def test_nothing_is_pasted_when_nothing_is_asked_for() -> None:
    images, mattes, eyes = torch.rand(4, 3, 32, 32), torch.rand(4, 1, 32, 32), torch.full((4, 2, 2), 16.0)
    seen, left = covered(images, mattes, eyes, random.Random(3), share=0.0)
    assert torch.allclose(seen, images, atol=1e-6)
    assert torch.allclose(left, mattes, atol=1e-6)


def test_a_batch_is_the_same_again_and_its_matte_follows_its_picture(tmp_path: Path) -> None:
    faces = read_faces([write(tmp_path / "one")], SIZE)
    numbers = torch.arange(6)
    one, again, other = (
        batch_of(faces, numbers, random.Random(seed), device=CPU, occluded=0.0) for seed in ("a", "a", "b")
    )
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.mattes, again.mattes)
    assert not torch.equal(one.mattes, other.mattes)
    # The disc is brighter than what is round it, wherever it was moved.
    inside, outside = one.mattes > 0.9, one.mattes < 0.1
    luma = one.images.mean(1, keepdim=True)
    assert float(luma[inside].mean()) > 1.5 * float(luma[outside].mean())


def test_what_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    """Of what is trained and of what is scored; faces without a matte are none of it, and are not read."""
    said: list[str] = []
    whole, bare = write(tmp_path / "one"), write(tmp_path / "two", mattes=False)
    for faceset in (whole, bare):
        (faceset.folder / faceset.records[2].file).write_bytes(b"no picture")
    faces = read_faces([bare, whole], SIZE, warn=said.append)
    assert faces.places == tuple((1, place) for place in (0, 1, 3, 4, 5))
    assert len(faces.images) == len(faces.mattes) == len(faces.eyes) == 5
    assert len(said) == 1
    assert whole.records[2].file in said[0]
    held_out_score(OcclusionNet(OcclusionSpec(SIZE, (4, 8), 4)), [bare, whole], SIZE, warn=said.append)
    assert said == said[:1] * 2


def test_faces_of_another_size_are_brought_to_the_nets(tmp_path: Path) -> None:
    faces = read_faces([write(tmp_path / "one")], 64)
    assert faces.images.shape == (6, 3, 64, 64)
    assert faces.mattes.dtype == torch.uint8
    plain = read_faces([Faceset.load(tmp_path / "one")], SIZE)
    assert torch.allclose(faces.eyes, 2 * plain.eyes)


def test_every_face_is_seen_once_before_any_is_seen_twice() -> None:
    plan = Plan(batch=4)
    seen = torch.cat([numbers_at(step, 10, plan) for step in range(5)])
    assert sorted(seen[:10].tolist()) == sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()


def test_the_rate_rises_and_falls_to_nothing() -> None:
    plan = Plan(steps=1000)
    rates = [rate_at(step, plan) for step in range(1001)]
    assert rates[0] < 0.02 * plan.rate
    assert max(rates) == pytest.approx(plan.rate)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_a_score_is_what_it_says() -> None:
    class Half(OcclusionNet):
        def forward(self, images: Tensor) -> Tensor:
            """Takes the left half for face."""
            logits = torch.full((len(images), 1, SIZE, SIZE), -20.0)
            logits[..., : SIZE // 2] = 20.0
            return logits

    net = Half(OcclusionSpec(SIZE, (4, 8), 4))
    top = torch.zeros(2, 1, SIZE, SIZE)
    top[..., : SIZE // 2, :] = 1
    found = score(net, torch.zeros(2, 3, SIZE, SIZE), top, torch.ones_like(top))
    assert found.iou == pytest.approx(1 / 3)
    assert found.error == pytest.approx(0.5)
    assert found.missed == pytest.approx(0.5)


def test_it_learns_and_writes_a_file_with_its_card(settled: Callable[..., Path]) -> None:
    path = settled("iterations = 8", "iterations = 60\nlearning_rate = 0.01\noccluded = 0.2")
    told: list[Told] = []
    made = train_occlusion(load(path), device=CPU, tell=told.append)
    card = read_card(made)
    assert (card.architecture, card.template, card.iterations) == (ARCHITECTURE, "dfl68_whole", 60)
    assert card.options["faces"] == 12
    assert card.curve[-1].loss < 0.7 * card.curve[0].loss
    assert card.scores["held out"]["iou"] > 0.6
    assert told[-1].step == 60
    net = OcclusionNet(OcclusionSpec.from_dict(card.spec))
    load_net(made, net)
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_it_goes_on_from_a_net_that_was_trained(settled: Callable[..., Path], tmp_path: Path) -> None:
    first = train_occlusion(load(settled()), device=CPU)
    kept = tmp_path / "kept.safetensors"
    first.rename(kept)
    more = 'iterations = 1\nlearning_rate = 1e-9\ninit = "kept.safetensors"'
    path = settled("iterations = 8", more)
    path.write_text(path.read_text().replace('"out"', '"more"'))
    second = train_occlusion(load(path), device=CPU)
    one, other = (load_file(file) for file in (kept, second))
    assert all(torch.allclose(value.float(), other[name].float(), atol=1e-3) for name, value in one.items())
    assert read_card(second).base == hashlib.sha256(kept.read_bytes()).hexdigest()
    assert "init" not in read_card(second).options
    path.write_text(path.read_text().replace("size = 32", "size = 64").replace('"more"', '"other"'))
    with pytest.raises(UsageError, match=r"kept\.safetensors is a net of .*32.*change \[train\] size"):
        train_occlusion(load(path), device=CPU)
    with pytest.raises(PipelineError, match=r"init"):
        load(settled("iterations = 8", 'init = "nowhere.safetensors"'))


def test_broken_off_it_goes_on_to_the_same_bits(
    settled: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settled()
    whole = train_occlusion(load(path), device=CPU).read_bytes()

    elsewhere = settled('"out"', '"again"')
    losses = iter(range(5))

    def cut_short(logits: Tensor, mattes: Tensor) -> Tensor:
        next(losses)  # raises at the sixth step
        return loss_of(logits, mattes)

    monkeypatch.setattr(occlusion_run, "loss_of", cut_short)
    with pytest.raises(StopIteration):
        train_occlusion(load(elsewhere), device=CPU)
    monkeypatch.setattr(occlusion_run, "loss_of", loss_of)
    assert (tmp_path / "again" / STATE).is_file()
    assert not (tmp_path / "again" / "occlusion.safetensors").exists()
    resumed = train_occlusion(load(elsewhere), device=CPU)
    one, other = (OcclusionNet(OcclusionSpec(SIZE, (4, 8), 4)) for _ in range(2))
    (tmp_path / "whole.safetensors").write_bytes(whole)
    load_net(tmp_path / "whole.safetensors", one)
    load_net(resumed, other)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_checkpoint_of_other_settings_is_refused(settled: Callable[..., Path]) -> None:
    train_occlusion(load(settled()), device=CPU)
    with pytest.raises(UsageError, match=r"state.safetensors is the checkpoint of a training with other settings"):
        train_occlusion(load(settled("batch = 4", "batch = 5")), device=CPU)


def test_a_checkpoint_that_is_none_is_refused(settled: Callable[..., Path], tmp_path: Path) -> None:
    path = settled()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / STATE).write_bytes(b"no tensors")
    with pytest.raises(UsageError, match="cannot read the checkpoint"):
        train_occlusion(load(path), device=CPU)


def test_a_loss_that_is_no_number_stops_it(settled: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occlusion_run, "loss_of", lambda logits, mattes: (logits * mattes).sum() * float("nan"))
    with pytest.raises(UsageError, match="loss of step 0 is nan"):
        train_occlusion(load(settled()), device=CPU)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('what = "occlusion"\n', "", "what"),
        ("size = 32", "size = 40", "size"),
        ("batch = 4", "batchs = 4", "did you mean 'batch'|batchs"),
        ('"drawn/*"', '"nowhere/*"', "no folder is named so"),
        ('"drawn/*"', '"drawn"', "has no faceset.json"),
        ('production = "lab"', 'production = "Night Train"', "not for production 'Night Train'"),
        ('purpose = "train"', 'purpose = "dub"', "not for purpose 'dub'"),
        ("[train]", "[trains]", "unknown table or key"),
        ("[train]", "[train", "is not valid TOML"),
    ],
)
def test_bad_training_files_are_refused(settled: Callable[..., Path], old: str, new: str, message: str) -> None:
    path = settled(old, new)
    with pytest.raises(PipelineError, match=message) as caught:
        load(path)
    assert "occlusion.toml" in str(caught.value)
    refused = "not for" in message
    assert (caught.value.run_exit_code == ExitCode.REFUSED) is refused


def test_faces_without_mattes_and_of_other_crops_are_refused(settled: Callable[..., Path], tmp_path: Path) -> None:
    path = settled('"drawn/*"', '"bare"')
    write(tmp_path / "bare", mattes=False)
    with pytest.raises(UsageError, match="no face of these facesets has a matte"):
        train_occlusion(load(path), device=CPU)
    FacesetWriter(tmp_path / "full", crop_of_type("full", SIZE), FacesetInfo(identity="x", subject="plate")).finish()
    with pytest.raises(PipelineError, match=r"template dfl68_full.*face-type whole"):
        load(settled('"drawn/*"', '"full"'))


def test_faces_of_an_identity_need_a_record(settled: Callable[..., Path], tmp_path: Path) -> None:
    FacesetWriter(tmp_path / "bare", crop_of_type("whole", SIZE), FacesetInfo(identity="x")).finish()
    with pytest.raises(PipelineError, match="no consent record") as caught:
        load(settled('"drawn/*"', '"bare"'))
    assert caught.value.run_exit_code == ExitCode.REFUSED


def test_a_training_file_says_what_it_trains(settled: Callable[..., Path], tmp_path: Path) -> None:
    assert is_occlusion(settled())
    assert not is_occlusion(settled('what = "occlusion"\n', ""))
    assert not is_occlusion(settled("[train]", "[train"))
    assert not is_occlusion(tmp_path / "none.toml")
