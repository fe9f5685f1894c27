"""Scene-linear pictures and data as OpenEXR, one file a frame, by OpenImageIO."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.color import Primaries
from vfxswap.errors import MediaError
from vfxswap.files import make_folder, whole
from vfxswap.ops.transfer import matrixed, primaries_matrix

CHROMATICITIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
"""x and y of red, green, blue and white: ITU-R BT.709-6, items 1.3 and 1.4, in the order of OpenEXR's attribute."""
ACESCG = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
"""Likewise of AP1: Academy S-2014-004."""
_SPACES = {
    Primaries.BT709: ("lin_rec709_scene", CHROMATICITIES),
    Primaries.AP1: ("lin_ap1_scene", ACESCG),
}
"""The linear spaces that are written: their names by the Color Interop Forum, and their colours."""
_NO_DATE = "1970:01:01 00:00:00"
"""The library would write the present time, and the same shot would not be the same file."""


class Sequence:
    """Pictures `STEM.####.exr` in a folder of their own; each appears when it is whole.

    Args:
        folder: Made if it is not there.
        stem: First part of the files' names.
        rate: Frames a second, for the header.
        primaries: Of what is written; a picture of BT.709 is brought to them.

    Raises:
        MediaError: The folder cannot be made.
    """

    def __init__(self, folder: Path, stem: str, rate: Fraction, primaries: Primaries = Primaries.BT709) -> None:
        make_folder(folder)
        self.path = folder / f"{stem}.%04d.exr"
        self._rate, self._primaries = rate, primaries

    def __enter__(self) -> Sequence:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open between two frames."""

    def write(self, number: int, picture: Tensor) -> None:
        """Writes a scene-linear BT.709 picture `(3, H, W)` as half floats.

        Raises:
            MediaError: The file cannot be written.
        """
        if self._primaries is not Primaries.BT709:
            picture = matrixed(picture, primaries_matrix(Primaries.BT709, self._primaries))
        planes = dict(zip("RGB", picture.numpy(), strict=True))
        path = Path(str(self.path) % number)
        write_exr(path, planes, sample="half", rate=self._rate, primaries=self._primaries)

    def finish(self) -> None:
        """All frames stand under their names already."""


def write_exr(
    path: Path,
    planes: Mapping[str, NDArray[np.float32]],
    *,
    sample: str,
    rate: Fraction,
    primaries: Primaries = Primaries.BT709,
) -> None:
    """Writes planes `(H, W)` as the channels of one picture, losslessly compressed.

    Args:
        path: The file.
        planes: By the channels' names.
        sample: `half` or `float`.
        rate: Frames a second, for the header.
        primaries: Of R, G and B, where these are among the channels.

    Raises:
        MediaError: The file cannot be written.
    """
    height, width = next(iter(planes.values())).shape
    header = oiio.ImageSpec(width, height, len(planes), sample)
    header.channelnames = tuple(planes)
    header.attribute("compression", "zip")
    header.attribute("DateTime", _NO_DATE)
    header.attribute("framesPerSecond", oiio.TypeDesc("rational"), (rate.numerator, rate.denominator))
    if "R" in planes:
        name, chromaticities = _SPACES[primaries]
        header.attribute("oiio:ColorSpace", name)
        header.attribute("chromaticities", oiio.TypeDesc("float[8]"), chromaticities)
    with whole(path) as temporary:
        file = oiio.ImageOutput.create("exr")
        words = np.stack(list(planes.values()), axis=-1)
        if file is None or not (file.open(str(temporary), header) and file.write_image(words) and file.close()):
            reason = oiio.geterror() if file is None else file.geterror()
            raise MediaError(f"cannot write {path}: {reason}; choose another folder or free some space", path=path)
