"""Trained faces for other programs: as plain ONNX, and as the DFM files that DeepFaceLive and others load.

A graph is written under another name, computed by ONNX Runtime, held against the model that it was made from, and only
then given its own name. What the other program cannot know goes into a sidecar beside it: face type, licence, consent.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch

from vfxswap.alignment import CropSpec, FaceType, crop_of_type
from vfxswap.errors import ConsentError, MediaError, PluginError, UsageError
from vfxswap.files import file_sha256, make_folder, whole
from vfxswap.modelfile import sidecar_path
from vfxswap.nets.comb import Comb
from vfxswap.trained import TrainedCard, TrainedIdentity, load_trained
from vfxswap.training.graphs import LAYOUTS, Form, Graph, halved
from vfxswap.weights import NO_MORPH, morphs

OPSETS = (13, 20)
"""First and last version of ONNX's operators that can be written; older programs want a low one."""
_SAMPLING_OPSET = 16
"""The first whose operators bend pictures."""
_TOLERANCES = {False: 1e-4, True: 2e-2}
"""Largest difference from the model, of values 0..1: with weights of 32 bits, and of 16."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be exported."""

    trained: Path
    """The trained file."""
    form: Form
    identity: str
    """Whose face is put in: a name in the trained file."""
    out: Path
    """The file to write."""
    morph_from: str | None = None
    """Makes a graph that morphs: 0 is this person, 1 is `identity`."""
    plate: str | None = None
    """Who is in the plate, whose decoder gives the mask of the face that is there; None is the only other person, or
    `identity` itself if there are several."""
    opset: int = 17
    half: bool = False
    """Weights and convolutions of 16 bits; inputs and outputs stay at 32."""
    overwrite: bool = False


class Exported(NamedTuple):
    """What was written."""

    path: Path
    sidecar: Path
    difference: float
    """The largest from the model, of values 0..1."""


def export(asked: Asked, *, tell: Callable[[str], None] = lambda _: None) -> Exported:
    """Writes a trained face for other programs.

    Args:
        asked: What.
        tell: Is told what is being done; large models take a minute.

    Raises:
        UsageError: The trained file is none, has nobody of that name, or cannot be had in that form.
        ConsentError: There is no consent record of the face in the trained file.
        PluginError: onnx is not installed.
        MediaError: A file cannot be written, or the graph does not compute what the model does.
    """
    _check(asked)
    onnx = _onnx()
    trained = load_trained(asked.trained)
    if trained.model.spec.stills and asked.opset < _SAMPLING_OPSET:
        raise UsageError(
            f"{asked.trained} bends stills, which needs operators of opset {_SAMPLING_OPSET} or later, not"
            f" {asked.opset}; a face that is trained with [train] stills = 0 does without"
        )
    people = _people(asked, trained.card)
    facts = _facts(asked, trained.card, people)
    truth = _graph(trained.model, asked)
    graph = _graph(halved(trained.model), asked) if asked.half else truth
    make_folder(asked.out.parent)
    with whole(asked.out) as temporary:
        tell(f"tracing {asked.identity} at {trained.card.crop.size_px} px")
        _write(graph, temporary, asked.opset)
        _describe(onnx, temporary, asked, facts, trained.card)
        tell("computing it with ONNX Runtime, to hold it against the model")
        difference = _verified(truth, temporary, asked)
    sidecar = sidecar_path(asked.out)
    with whole(sidecar) as temporary:
        temporary.write_text(_toml({"sha256": file_sha256(asked.out), **facts}), encoding="utf-8")
    return Exported(asked.out, sidecar, difference)


def face_type_of(crop: CropSpec) -> FaceType | None:
    """DeepFaceLab's word for a crop; None if it has none."""
    types: tuple[FaceType, ...] = get_args(FaceType)
    return next((name for name in types if crop_of_type(name, crop.size_px) == crop), None)


def _check(asked: Asked) -> None:
    """What can be said before anything is read.

    Raises:
        UsageError: It cannot be done.
    """
    first, last = OPSETS
    if asked.out.suffix != f".{asked.form}":
        raise UsageError(f"the file must end in .{asked.form}, as {asked.out.with_suffix('.' + asked.form)}")
    if not first <= asked.opset <= last:
        raise UsageError(f"there is no opset {asked.opset} here; allowed: {first} to {last}")
    for path in (asked.out, sidecar_path(asked.out)):
        if path.exists() and not asked.overwrite:
            raise UsageError(f"{path} is there already; choose another name, or say --overwrite")


def _onnx() -> Any:
    try:
        import onnx  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PluginError("to export, onnx is needed: pip install 'vfxswap[train]'") from error
    return onnx


def _people(asked: Asked, card: TrainedCard) -> dict[str, TrainedIdentity]:
    """Those whose face the graph shows; each must have given consent."""
    if not card.identities:
        raise UsageError(f"{asked.trained} is a base, of nobody's face; train on it first")
    for name in (asked.identity, asked.morph_from, asked.plate):
        if name is not None and name not in card.identities:
            raise UsageError(f"{asked.trained} has nobody called {name!r}; it has {', '.join(card.identities)}")
    if asked.morph_from == asked.identity:
        raise UsageError(f"a morph is between two people; {asked.identity!r} is both")
    if asked.morph_from is not None and not morphs(card):
        raise UsageError(f"{asked.trained} {NO_MORPH}")
    shown = {name: card.identities[name] for name in (asked.morph_from, asked.identity) if name is not None}
    for name, person in shown.items():
        if person.consent is None:
            raise ConsentError(
                f"{asked.trained} has no consent record of {name!r}, who is there to be replaced; train again with an"
                " identity.toml for that face"
            )
    return shown


def _graph(comb: Comb, asked: Asked) -> Graph:
    others = [name for name in comb.spec.identities if name != asked.identity]
    plate = asked.plate or (others[0] if len(others) == 1 else asked.identity)
    return Graph(comb, asked.form, identity=asked.identity, plate=plate, morph_from=asked.morph_from)


def _write(graph: Graph, path: Path, opset: int) -> None:
    """Traces the graph.

    torch's older exporter is used: the newer one writes opset 18 and above only, which the programs that load DFM files
    do not all know.
    """
    outputs = LAYOUTS[graph.form].outputs
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of that exporter's age, and of checks of shapes that a trace leaves out
        torch.onnx.export(
            graph,
            graph.samples(2),
            str(path),
            dynamo=False,
            opset_version=opset,
            input_names=list(graph.inputs),
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in (graph.inputs[0], *outputs)},
        )


def _verified(truth: Graph, path: Path, asked: Asked) -> float:
    """The largest difference of the written graph from the model, for one and for several faces.

    Raises:
        MediaError: It is too large, or the graph cannot be computed.
    """
    session, outputs = _session(path, asked), list(LAYOUTS[asked.form].outputs)
    largest = 0.0
    for count, morph in ((1, 0.0), (2, 0.37), (3, 1.0)):
        inputs = truth.samples(count, morph=morph)
        with torch.inference_mode():
            expected = truth(*inputs)
        given = {name: value.numpy() for name, value in zip(truth.inputs, inputs, strict=True)}
        for one, other in zip(session.run(outputs, given), expected, strict=True):
            difference = float(abs(one - other.numpy()).max()) if one.shape == tuple(other.shape) else math.inf
            largest = max(largest, difference)
    if not largest <= _TOLERANCES[asked.half]:
        raise MediaError(
            f"the exported graph differs from {asked.trained} by up to {largest:.2g} of 1 (allowed:"
            f" {_TOLERANCES[asked.half]:g}), and was not written; another opset may help",
            path=asked.out,
        )
    return largest


def _session(path: Path, asked: Asked) -> Any:
    import onnxruntime  # noqa: PLC0415 - takes a second

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise MediaError(f"ONNX Runtime cannot load the exported graph: {error}", path=asked.out) from error


def _facts(asked: Asked, card: TrainedCard, people: Mapping[str, TrainedIdentity]) -> dict[str, Any]:
    """What the sidecar says, in the keys of `vfxswap.modelfile.Sidecar`."""
    facts: dict[str, Any] = {
        "licence": "; ".join(
            dict.fromkeys(text for text in (card.licence, *(p.licence for p in people.values())) if text)
        ),
        "commercial": card.commercial,
        "consent": "; ".join(_consent(person) for person in people.values()),
        "source": f"{', '.join(people)}: {card.made_by}, {card.iterations} iterations, from {asked.trained.name}"
        f" (sha256 {file_sha256(asked.trained)})",
    }
    if asked.form == "dfm":
        face_type = face_type_of(card.crop)
        if face_type is None:
            raise UsageError(
                f"{asked.trained} was trained on crops {card.crop.template!r} at zoom {card.zoom:g}, for which DFM has"
                " no face type; export it --to onnx"
            )
        facts |= {"face_type": face_type, "resolution": card.crop.size_px}
    return facts


def _consent(person: TrainedIdentity) -> str:
    record = person.consent
    if record is None:
        raise AssertionError("_people lets nobody without a record pass")
    return (
        f"{record.performer}, by {record.grantor}, {record.valid_from} to {record.valid_until}, for"
        f" {', '.join(record.productions)} ({', '.join(record.purposes)}): {record.scope}"
    )


def _describe(onnx: Any, path: Path, asked: Asked, facts: Mapping[str, Any], card: TrainedCard) -> None:
    """Writes what is known into the graph's own metadata too, where it cannot get lost."""
    model = onnx.load(str(path))
    crop = {"template": card.crop.template, "size_px": card.crop.size_px, "zoom": card.zoom}
    said = {**facts, "crop": crop, "color_space": card.color_space, "identity": asked.identity}
    onnx.helper.set_model_props(model, {f"vfxswap.{key}": _plain(value) for key, value in said.items()})
    model.producer_name = card.made_by
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _toml(facts: Mapping[str, Any]) -> str:
    # A JSON string is a TOML string too, but for the one character that JSON leaves as it is.
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for key, value in facts.items()
        if value is not None
    ]
    return "\n".join([*lines, ""])
