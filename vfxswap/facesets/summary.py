"""What a faceset holds, in a few numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from vfxswap.faceset import Faceset

_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


def summary(faceset: Faceset) -> dict[str, Any]:
    """Facts that can be written as JSON.

    Returns:
        Whose it is, how its faces are cut, how many are from where, the consent record, and under `spread` for each
        measure its least value, 5 %, median, 95 % and most.
    """
    info, records = faceset.info, faceset.records
    sizes = [size for index in range(len(faceset)) if (size := faceset.source_px(index)) is not None]
    values = {
        "yaw": [face.yaw for face in records],
        "pitch": [face.pitch for face in records],
        "roll": [face.roll for face in records],
        "source_px": sizes,
        "sharpness": [face.sharpness for face in records],
        "brightness": [face.brightness for face in records],
        "key_right_stops": [face.key_right_stops for face in records],
        "key_top_stops": [face.key_top_stops for face in records],
        "warmth_stops": [face.warmth_stops for face in records],
        "inside": [face.inside for face in records if face.inside is not None],
        "similarity": [face.similarity for face in records if face.similarity is not None],
    }
    return {
        "identity": info.identity,
        "subject": info.subject,
        "faces": len(faceset),
        "crop": f"{faceset.crop.template}, {faceset.crop.size_px} px, zoom {faceset.crop.zoom:g}, {info.bits} bits",
        "color_space": info.color_space,
        "landmarks": dict(Counter(face.scheme for face in records)),
        "mattes": sum(face.matte is not None for face in records),
        "sources": dict(Counter(face.source for face in records)),
        "licence": info.licence,
        "consent": None if info.consent is None else info.consent.model_dump(mode="json", by_alias=True),
        "made_from": dict(info.made_from),
        "left_out": len(info.left_out),
        "hash": faceset.hash,
        "spread": {
            name: [round(float(value), 4) for value in np.quantile(items, _QUANTILES)]
            for name, items in values.items()
            if items
        },
    }
