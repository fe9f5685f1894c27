"""A training run of the occlusion net: its steps, its checkpoints, and the file that is made."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vfxswap.errors import UsageError
from vfxswap.files import file_sha256, make_folder, whole
from vfxswap.nets.occlusion import ARCHITECTURE, OcclusionNet, OcclusionSpec
from vfxswap.trained import CurvePoint, TrainedCard, demand_architecture, load_net, read_card, save_net
from vfxswap.training.occlusion import Faces, Plan, batch_of, held_out_score, loss_of, numbers_at, rate_at, read_faces
from vfxswap.training.occlusion_settings import Occlusion, OcclusionSettings

STATE, RESULT = "state.safetensors", "occlusion.safetensors"
"""The checkpoint and the trained file, in the folder `out`."""
_AVERAGE = 0.99
"""How much of the averaged weights stays at a step: further back the rate was higher, and the weights were worse."""
_NOTE = "vfxswap"
_CURVE_POINTS = 40


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
    settings: OcclusionSettings,
    *,
    device: torch.device,
    tell: Callable[[Told], None] | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Path:
    """Trains a net, or goes on with one that was broken off.

    Args:
        settings: What and how, as `occlusion_settings.load` gives it.
        device: Where.
        tell: Is told how far it is, about every second.
        warn: Is told of each picture that cannot be read and is left out.

    Returns:
        The file that was made.

    Raises:
        UsageError: No face has a matte, a checkpoint is of other settings, or the loss is no number.
        MediaError: A file cannot be written.
    """
    train = settings.train
    folder, key = train.out, _key(settings)
    faces = read_faces(settings.trained, train.size, warn=warn)
    make_folder(folder)
    state = _resumed(folder / STATE, train, key, device)
    _run(state, faces, train, device=device, keep=lambda: _keep(folder / STATE, state, key), tell=tell)
    net = state.average.eval()
    scores = held_out_score(net, settings.held_out, train.size, warn=warn)._asdict() if settings.held_out else {}
    save_net(folder / RESULT, net, _card(settings, state, scores), spec=net.spec.to_dict(), half=True)
    return folder / RESULT


def _key(settings: OcclusionSettings) -> str:
    """What a checkpoint must have been made with."""
    said = settings.train.model_dump(
        mode="json", exclude={"out", "init", "facesets", "held_out", "save_every", "licence", "commercial"}
    )
    text = json.dumps([said, ARCHITECTURE, [faceset.hash for faceset in settings.trained]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _run(
    state: _State,
    faces: Faces,
    train: Occlusion,
    *,
    device: torch.device,
    keep: Callable[[], None],
    tell: Callable[[Told], None] | None,
) -> None:
    plan, begun, told = train.plan, time.monotonic() - state.seconds, time.monotonic()
    recent: list[float] = []
    while state.step < plan.steps:
        loss = _step(state, faces, plan, device=device, bf16=train.precision == "bfloat16")
        recent.append(loss)
        state.losses.append(loss)
        state.step += 1
        state.seconds = time.monotonic() - begun
        if state.step % train.save_every == 0 or state.step == plan.steps:
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
    value = float(loss.detach())
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


def _begun(train: Occlusion, device: torch.device) -> _State:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train.seed)
        net = OcclusionNet(OcclusionSpec(train.size))
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if train.init is not None:
        _take(train.init, net, device)
    average = OcclusionNet(net.spec).to(device).requires_grad_(requires_grad=False)
    average.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), lr=train.learning_rate, weight_decay=1e-3)
    return _State(net, average, optimiser, 0, 0.0, [])


def _take(path: Path, net: OcclusionNet, device: torch.device) -> None:
    """Gives a net the weights of a trained one.

    Raises:
        UsageError: The file is no occlusion net, or one of another size.
    """
    card = read_card(path)
    demand_architecture(path, card, ARCHITECTURE)
    if (have := type(net.spec).from_dict(card.spec)) != net.spec:
        raise UsageError(f"{path} is a net of {have}, and one of {net.spec} is trained: change [train] size or init")
    load_net(path, net, device)
    net.train().requires_grad_(requires_grad=True)


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


def _resumed(path: Path, train: Occlusion, key: str, device: torch.device) -> _State:
    """The state that a checkpoint holds; a new one if there is none."""
    state = _begun(train, device)
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
            " name another folder as `out`"
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


def _card(settings: OcclusionSettings, state: _State, scores: Mapping[str, float]) -> TrainedCard:
    train, losses = settings.train, state.losses
    stride = max(1, len(losses) // _CURVE_POINTS)
    curve = [
        CurvePoint(iteration=start + stride, loss=round(sum(losses[start : start + stride]) / stride, 5))
        for start in range(0, len(losses) - stride + 1, stride)
    ]
    return TrainedCard(
        architecture=ARCHITECTURE,
        spec=state.net.spec.to_dict(),
        template="dfl68_whole",
        identities={},
        production=train.production,
        purpose=train.purpose,
        options=_options(settings),
        base="" if train.init is None else file_sha256(train.init),
        iterations=state.step,
        seconds=round(state.seconds, 1),
        curve=tuple(curve),
        scores={"held out": {name: round(value, 5) for name, value in scores.items()}} if scores else {},
        licence=train.licence,
        commercial=train.commercial,
    )


def _options(settings: OcclusionSettings) -> dict[str, Any]:
    """The settings, and what was trained on in few words: a net of many performers has no place for each."""
    said = settings.train.model_dump(mode="json", exclude={"out", "init"})  # a folder's name is nobody's business
    digest = hashlib.sha256("".join(faceset.hash for faceset in settings.trained).encode()).hexdigest()
    return {**said, "faces": sum(map(len, settings.trained)), "facesets_sha256": digest}
