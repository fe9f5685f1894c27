"""A training run of the occlusion net: settings, checkpoints, and the file that is made."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import tomli
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vfxswap.errors import ConsentError, UsageError
from vfxswap.faceset import Faceset
from vfxswap.files import make_folder, whole
from vfxswap.nets.occlusion import ARCHITECTURE, OcclusionNet, OcclusionSpec
from vfxswap.trained import CurvePoint, TrainedCard, save_net
from vfxswap.training.occlusion import Faces, Plan, batch_of, held_out_score, loss_of, numbers_at, rate_at, read_faces

STATE = "occlusion.state.safetensors"
_AVERAGE = 0.998
"""How much of the averaged weights stays at a step."""
_NOTE = "vfxswap"
_CURVE_POINTS = 40


class OcclusionSettings(BaseModel):
    """What `[train]` of an occlusion net's training file holds; paths are relative to the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    what: Literal["occlusion"] = Field("occlusion", description="What is trained.")
    out: str = Field("occlusion.safetensors", description="The file that is made; checkpoints stand beside it.")
    facesets: tuple[str, ...] = Field(
        min_length=1, description="Folders of facesets whose faces have mattes; `*` stands for any name."
    )
    held_out: tuple[str, ...] = Field((), description="Facesets that are scored and not trained on.")
    production: str = Field(min_length=1, description="What it is for; the consent records must cover it.")
    purpose: str = Field("train", min_length=1, description="The purpose that the records must cover.")
    size_px: int = Field(128, ge=32, le=512, description="Side of the net's pictures.")
    steps: int = Field(1500, ge=1, description="Steps of the optimiser.")
    batch: int = Field(16, ge=1, le=1024, description="Faces of a step.")
    rate: float = Field(2e-3, gt=0, le=0.1, description="Learning rate at its highest.")
    occluded: float = Field(0.6, ge=0, le=1, description="Share of faces that something is pasted over.")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="What the net computes with while it is trained.")
    seed: int = Field(1, ge=0, description="Of everything that is drawn.")
    save_every_steps: int = Field(200, ge=1, description="Steps between checkpoints.")
    licence: str = Field("", description="Terms of the file that is made.")
    commercial: bool | None = Field(None, description="Whether paid work may use it.")

    @property
    def plan(self) -> Plan:
        """The part that every step depends on."""
        return Plan(self.steps, self.batch, self.rate, self.occluded, self.seed)


def read_settings(file: Path) -> OcclusionSettings:
    """Reads a training file.

    Raises:
        UsageError: It cannot be read, or something in it is wrong.
    """
    try:
        data = tomli.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {error}") from error
    except tomli.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from error
    table = data.pop("train", None)
    if data or not isinstance(table, dict):
        raise UsageError(f"{file} must hold one table, [train]; found {', '.join([*data]) or 'none'}")
    try:
        # Arrays of TOML are lists, where strict settings want tuples.
        return OcclusionSettings.model_validate({k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
    except ValidationError as error:
        found = error.errors()[0]
        raise UsageError(f"{file}: [train] {'.'.join(map(str, found['loc']))}: {found['msg']}") from error


@dataclass(frozen=True, slots=True)
class Told:
    """How far a run is."""

    step: int
    steps: int
    loss: float
    """Mean since it was told last."""
    seconds: float
    """Of training, earlier runs counted in."""


@dataclass(slots=True, eq=False)
class _State:
    """All that a run needs to be gone on with."""

    net: OcclusionNet
    average: OcclusionNet
    optimiser: torch.optim.AdamW
    step: int
    seconds: float
    losses: list[float]


def train_occlusion(
    settings: OcclusionSettings, folder: Path, *, device: torch.device, tell: Callable[[Told], None] | None = None
) -> Path:
    """Trains a net, or goes on with one that was broken off.

    Args:
        settings: What and how.
        folder: That paths are relative to.
        device: Where.
        tell: Is told how far it is, about every second.

    Returns:
        The file that was made.

    Raises:
        UsageError: A faceset is missing or unfit, a checkpoint is of other settings, or the loss is no number.
        ConsentError: A consent record does not cover this training.
        MediaError: A file cannot be written.
    """
    out = folder / settings.out
    trained, held = (_facesets(folder, names) for names in (settings.facesets, settings.held_out))
    for faceset in (*trained, *held):
        _demand_consent(faceset, settings)
    faces = read_faces(trained, settings.size_px)
    key = _key(settings, trained)
    make_folder(out.parent)
    state = _resumed(out.with_name(STATE), settings, key, device)
    _run(state, faces, settings, device=device, keep=lambda: _keep(out.with_name(STATE), state, key), tell=tell)
    net = state.average.eval()
    scores = held_out_score(net, held, settings.size_px)._asdict() if held else {}
    save_net(out, net, _card(settings, trained, state, scores), spec=net.spec.to_dict(), half=True)
    return out


def _facesets(folder: Path, names: Sequence[str]) -> list[Faceset]:
    found: list[Faceset] = []
    for name in names:
        base = Path(name) if Path(name).is_absolute() else folder / name
        anchor = Path(base.anchor)
        paths = sorted(anchor.glob(str(base.relative_to(anchor)))) if "*" in name else [base]
        if not paths:
            raise UsageError(f"no folder is named {base}")
        found += [Faceset.load(path) for path in paths]
    return found


def _demand_consent(faceset: Faceset, settings: OcclusionSettings) -> None:
    """A net learns from faces as a swapper does; whose they are must have agreed."""
    consent = faceset.info.consent
    if consent is None:
        if faceset.info.subject == "plate":
            return
        raise ConsentError(f"{faceset.folder} has no consent record; extract it again with the identity's folder")
    objections = consent.objections(production=settings.production, purpose=settings.purpose, today=date.today())
    if objections:
        raise ConsentError(f"{faceset.folder}: {'; '.join(objections)}")


def _key(settings: OcclusionSettings, facesets: Sequence[Faceset]) -> str:
    """What a checkpoint must have been made with."""
    named = settings.model_dump(exclude={"out", "facesets", "held_out", "save_every_steps", "licence", "commercial"})
    text = json.dumps([named, ARCHITECTURE, [faceset.hash for faceset in facesets]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _run(
    state: _State,
    faces: Faces,
    settings: OcclusionSettings,
    *,
    device: torch.device,
    keep: Callable[[], None],
    tell: Callable[[Told], None] | None,
) -> None:
    plan, begun, told = settings.plan, time.monotonic() - state.seconds, time.monotonic()
    recent: list[float] = []
    while state.step < plan.steps:
        loss = _step(state, faces, plan, device=device, bf16=settings.precision == "bf16")
        recent.append(loss)
        state.losses.append(loss)
        state.step += 1
        state.seconds = time.monotonic() - begun
        if state.step % settings.save_every_steps == 0 or state.step == plan.steps:
            keep()
        if tell is not None and (time.monotonic() - told > 1 or state.step == plan.steps):
            tell(Told(state.step, plan.steps, sum(recent) / len(recent), state.seconds))
            recent, told = [], time.monotonic()


def _step(state: _State, faces: Faces, plan: Plan, *, device: torch.device, bf16: bool) -> float:
    dice = random.Random(f"{plan.seed} {state.step}")  # noqa: S311 - no secret
    numbers = numbers_at(state.step, len(faces.images), plan)
    drawn = batch_of(faces, numbers, dice, device=device, occluded=plan.occluded)
    for group in state.optimiser.param_groups:
        group["lr"] = rate_at(state.step, plan)
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        logits = state.net(drawn.images.contiguous(memory_format=torch.channels_last))
    loss = loss_of(logits.float(), drawn.mattes)
    value = float(loss)
    if not value < 1e6:
        raise UsageError(
            f"the loss of step {state.step} is {value}; the checkpoint before it was kept: try a smaller rate than"
            f" {plan.rate:g}"
        )
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
    state.optimiser.step()
    stays = min(_AVERAGE, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for kept, new in zip(state.average.parameters(), state.net.parameters(), strict=True):
            kept.lerp_(new, 1 - stays)
    return value


def _begun(settings: OcclusionSettings, device: torch.device) -> _State:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        net = OcclusionNet(OcclusionSpec(settings.size_px))
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = OcclusionNet(net.spec).to(device).requires_grad_(requires_grad=False)
    average.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.rate, weight_decay=1e-3)
    return _State(net, average, optimiser, 0, 0.0, [])


def _keep(path: Path, state: _State, key: str) -> None:
    """Writes a checkpoint; the one before stands until this one is whole."""
    tensors: dict[str, Tensor] = {}
    for part, values in (("net", state.net.state_dict()), ("average", state.average.state_dict())):
        tensors |= {f"{part}.{name}": value.cpu().contiguous() for name, value in values.items()}
    for name, parameter in state.net.named_parameters():
        held = state.optimiser.state[parameter]
        tensors |= {f"{kind}.{name}": held[kind].cpu().contiguous() for kind in ("exp_avg", "exp_avg_sq")}
    note = {"key": key, "step": state.step, "seconds": state.seconds, "losses": state.losses}
    with whole(path) as temporary:
        temporary.write_bytes(save(tensors, {_NOTE: json.dumps(note)}))


def _resumed(path: Path, settings: OcclusionSettings, key: str, device: torch.device) -> _State:
    """The state that a checkpoint holds; a new one if there is none."""
    state = _begun(settings, device)
    if not path.is_file():
        return state
    try:
        with safe_open(str(path), framework="pt") as file:
            note = json.loads((file.metadata() or {}).get(_NOTE, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(f"cannot read the checkpoint {path}: {error}; remove it to begin anew") from error
    if note.get("key") != key:
        raise UsageError(
            f"{path} is the checkpoint of a training with other settings or other faces; remove it to begin anew, or"
            " name another file as `out`"
        )
    for part, net in (("net", state.net), ("average", state.average)):
        net.load_state_dict({name: tensors[f"{part}.{name}"] for name in net.state_dict()})
    _restore(state.optimiser, state.net, tensors, int(note["step"]))
    state.step, state.seconds, state.losses = int(note["step"]), float(note["seconds"]), list(note["losses"])
    return state


def _restore(optimiser: torch.optim.AdamW, net: OcclusionNet, tensors: Mapping[str, Tensor], step: int) -> None:
    for name, parameter in net.named_parameters():
        moments = {
            kind: tensors[f"{kind}.{name}"].to(parameter).contiguous(memory_format=torch.preserve_format)
            for kind in ("exp_avg", "exp_avg_sq")
        }
        optimiser.state[parameter] = {"step": torch.tensor(float(step)), **moments}


def _card(
    settings: OcclusionSettings, facesets: Sequence[Faceset], state: _State, scores: Mapping[str, float]
) -> TrainedCard:
    losses, stride = state.losses, max(1, len(state.losses) // _CURVE_POINTS)
    curve = [
        CurvePoint(iteration=start + stride, loss=round(sum(losses[start : start + stride]) / stride, 5))
        for start in range(0, len(losses) - stride + 1, stride)
    ]
    return TrainedCard(
        architecture=ARCHITECTURE,
        spec=state.net.spec.to_dict(),
        template="dfl68_whole",
        identities={},
        production=settings.production,
        purpose=settings.purpose,
        options=_options(settings, facesets),
        iterations=state.step,
        seconds=round(state.seconds, 1),
        curve=tuple(curve),
        scores={"held out": {name: round(value, 5) for name, value in scores.items()}} if scores else {},
        licence=settings.licence,
        commercial=settings.commercial,
    )


def _options(settings: OcclusionSettings, facesets: Sequence[Faceset]) -> dict[str, Any]:
    """The settings, and what was trained on in few words: a net of many performers has no place for each."""
    named = settings.model_dump(mode="json")
    digest = hashlib.sha256("".join(faceset.hash for faceset in facesets).encode()).hexdigest()
    return {**named, "faces": sum(map(len, facesets)), "facesets_sha256": digest}
