"""What a run's report says of where it came from: versions, plate, stages, models, identities and their consent."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vfxswap.clock import Timecode
from vfxswap.errors import UsageError
from vfxswap.host import Host
from vfxswap.identity import Identity
from vfxswap.modelfile import ModelFile
from vfxswap.pipeline import Pipeline, PlannedStage
from vfxswap.pipeline.colour import color_facts

_LIBRARIES = ("vfxswap", "torch", "kornia", "av", "numpy", "opencv-python-headless", "onnxruntime")


def described(plan: Pipeline, host: Host) -> dict[str, Any]:
    """The head of a run's report; holds no folder names, which may name clients."""
    return {
        "pipeline": plan.path.name,
        "pipeline_sha256": plan.sha256,
        "key": plan.key,
        "production": plan.shot.production,
        "purpose": plan.shot.purpose,
        "plate": plan.plate_path.name,
        "color": color_facts(plan.colors, plan.tags, plan.face, plan.identities.values()),
        "frames": str(plan.frames),
        "cut": str(plan.edit.cut),
        "clip": plan.edit.clip,
        "timeline": None if plan.edit.timeline is None else plan.edit.timeline.name,
        "timecode": _timecode(plan),
        "delivery": plan.delivery_path.name,
        "layers": dict.fromkeys(plan.layers.names, plan.layers.stored),
        "device": str(plan.device),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "stages": [_stage(planned) for planned in plan.stages],
        "models": {
            name: {"sha256": card.sha256, "licence": card.licence, "commercial": card.commercial}
            for name in sorted({name for planned in plan.stages for name in planned.models})
            for card in [plan.store.card(name)]
        },
        "model_files": [_file(file) for planned in plan.stages for file in planned.files],
        "identities": {name: _identity(identity) for name, identity in plan.identities.items()},
        "plugins": [record.owner for record in host.plugins if record.error is None],
    }


def _timecode(plan: Pipeline) -> str | None:
    """Of the first frame that is written."""
    plate = plan.plate
    if not plate.timecode_runs and plan.frames[0] != plate.first:
        return None
    try:
        return plate.timecode and str(Timecode.parse(plate.timecode, plate.rate) + (plan.frames[0] - plate.first))
    except UsageError:
        return None  # the plate's does not fit its rate


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _file(file: ModelFile) -> dict[str, Any]:
    return {**asdict(file), "path": file.path.name}


def _stage(planned: PlannedStage) -> dict[str, Any]:
    options = {
        key: value.name if isinstance(value, Path) else value for key, value in planned.options.model_dump().items()
    }
    return {"use": planned.name, "owner": planned.owner, "options": options}


def _identity(identity: Identity) -> dict[str, Any]:
    consent = identity.consent.model_dump(mode="json", by_alias=True)
    return {"name": identity.title, "licence": identity.licence, "consent": consent}
