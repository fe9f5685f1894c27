"""What a plugin's own tests need: contract suites for every kind of stage, reader and writer, and synthetic material.

Derive a test class from the suite of your kind, and pytest holds your plugin to what the host relies on:

```python
from vfxswap.testing import MatteContract

class TestVignette(MatteContract):
    stage = Vignette
```
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

# Failing asserts of the suites shall show their values, as those of test files do; it must be said before they are
# imported.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in ("checks", "journey", "stages", "finding", "faces", "joining", "plain", "media", "layers")
    )
)

from vfxswap.testing.checks import assert_same_bits, check_matte, check_tensor, untouched  # noqa: E402
from vfxswap.testing.faces import ColorMatchContract, MatteContract, SwapperContract  # noqa: E402
from vfxswap.testing.finding import AlignerContract, DetectorContract, TrackerContract  # noqa: E402
from vfxswap.testing.joining import BlendContract, DeflickerContract, FinishContract  # noqa: E402
from vfxswap.testing.journey import (  # noqa: E402
    assert_chunks_have_the_bits_of_the_whole,
    assert_pipeline_has_the_same_bits_in_chunks,
)
from vfxswap.testing.material import (  # noqa: E402
    PlateCutter,
    SyntheticPlate,
    face_batch,
    face_window,
    faces_of,
    options_of,
    setting,
    soft_matte,
    synthetic_identity,
    synthetic_plate,
)
from vfxswap.testing.media import ReaderContract, WriterContract  # noqa: E402
from vfxswap.testing.mesh import face_landmarks, face_points  # noqa: E402
from vfxswap.testing.pictures import RGB_FLOAT, YUV420P8, YUV422P10, synthetic_frame, synthetic_info  # noqa: E402
from vfxswap.testing.plain import ProcessContract  # noqa: E402
from vfxswap.testing.stages import StageContract  # noqa: E402
from vfxswap.testing.trained import synthetic_card, synthetic_comb, write_synthetic_trained  # noqa: E402

CONTRACTS: Mapping[str, type[StageContract]] = {
    "detector": DetectorContract,
    "tracker": TrackerContract,
    "aligner": AlignerContract,
    "swapper": SwapperContract,
    "matte": MatteContract,
    "color": ColorMatchContract,
    "blend": BlendContract,
    "deflicker": DeflickerContract,
    "finish": FinishContract,
    "stage": ProcessContract,
}
"""The suite of each kind of stage, by the kind's name in an offer."""

__all__ = [
    "CONTRACTS",
    "RGB_FLOAT",
    "YUV420P8",
    "YUV422P10",
    "AlignerContract",
    "BlendContract",
    "ColorMatchContract",
    "DeflickerContract",
    "DetectorContract",
    "FinishContract",
    "MatteContract",
    "PlateCutter",
    "ProcessContract",
    "ReaderContract",
    "StageContract",
    "SwapperContract",
    "SyntheticPlate",
    "TrackerContract",
    "WriterContract",
    "assert_chunks_have_the_bits_of_the_whole",
    "assert_pipeline_has_the_same_bits_in_chunks",
    "assert_same_bits",
    "check_matte",
    "check_tensor",
    "face_batch",
    "face_landmarks",
    "face_points",
    "face_window",
    "faces_of",
    "options_of",
    "setting",
    "soft_matte",
    "synthetic_card",
    "synthetic_comb",
    "synthetic_frame",
    "synthetic_identity",
    "synthetic_info",
    "synthetic_plate",
    "untouched",
    "write_synthetic_trained",
]
