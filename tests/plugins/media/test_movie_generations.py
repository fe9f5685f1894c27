"""A delivery of a delivery: what film codecs lose once they do not lose again, and what is exact stays exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vfxswap.errors import MediaError
from vfxswap.frame import Picture
from vfxswap_plugins.media.movie_reader import MovieReader

MakeMovie = Callable[..., Path]
Deliver = Callable[..., Path]


def pictures(path: Path) -> list[Picture]:
    with MovieReader(path) as reader:
        return [frame.plate for frame in reader.frames(1, reader.info.last)]


def loss(before: Path, after: Path) -> float:
    """Mean difference of all planes, in codes of 10 bits."""
    errors = []
    for old, new in zip(pictures(before), pictures(after), strict=True):
        for plane, other in zip(old.planes, new.planes, strict=True):
            scale = 2.0 ** (10 - old.layout.bits), 2.0 ** (10 - new.layout.bits)
            errors.append(np.abs(plane * scale[0] - other * scale[1]).mean())
    return float(np.mean(errors))


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options"),
    [
        ("mov", "prores_hq", "yuv422p10le", {}),
        ("mov", "prores_4444", "yuv444p10le", {"pixel_format": "yuv444p10le"}),
        ("mov", "prores_4444xq", "yuva444p10le", {"pixel_format": "yuva444p10le"}),
        ("mxf", "dnxhr_hqx", "yuv422p10le", {}),
        ("mov", "dnxhr_444", "yuv444p10le", {}),
    ],
)
def test_a_second_generation_loses_less_than_the_first(
    make_movie: MakeMovie,
    deliver: Deliver,
    tmp_path: Path,
    name: str,
    codec: str,
    pix_fmt: str,
    options: dict[str, str],
) -> None:
    plate = make_movie("plate.mkv", "ffv1", pix_fmt, size=(256, 128), count=2)
    first = deliver(plate, tmp_path / f"first.{name}", codec=codec)
    second = deliver(first, tmp_path / f"second.{name}", codec=codec, **options)
    assert 0 < loss(plate, first) < 20  # the plate's noise is more than any camera's
    rounding = 0.4 if options else 0.0  # from the 12 bits that ProRes 4444 is decoded to
    assert loss(first, second) < max(0.5 * loss(plate, first), rounding)


def test_prores_4444_is_decoded_deeper_than_it_is_encoded_and_says_so(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path
) -> None:
    plate = deliver(
        make_movie("plate.mkv", "ffv1", "yuv444p10le", count=2), tmp_path / "plate.mov", codec="prores_4444"
    )
    assert pictures(plate)[0].layout.name == "yuv444p12le"
    with pytest.raises(MediaError, match=r'12 bits of the plate .* or state pixel_format = "yuv444p10le"'):
        deliver(plate, tmp_path / "o.mov", codec="prores_4444")
    exact = deliver(plate, tmp_path / "o.mkv")
    assert loss(plate, exact) == 0
