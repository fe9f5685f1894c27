"""A pipeline file: read, validated against everything it names, and its JSON Schema and reference page."""

from __future__ import annotations

from vfxswap.pipeline.device import choose_device
from vfxswap.pipeline.finding import finding_stages, head_of, plate_stamp
from vfxswap.pipeline.load import load, read_clips_of, read_plate_of
from vfxswap.pipeline.plan import Pipeline, PlannedStage
from vfxswap.pipeline.reference import reference
from vfxswap.pipeline.schema import schema
from vfxswap.pipeline.tables import Delivery, FaceRule, IdentityEntry, Shot

__all__ = [
    "Delivery",
    "FaceRule",
    "IdentityEntry",
    "Pipeline",
    "PlannedStage",
    "Shot",
    "choose_device",
    "finding_stages",
    "head_of",
    "load",
    "plate_stamp",
    "read_clips_of",
    "read_plate_of",
    "reference",
    "schema",
]
