"""Single pictures as plates of one frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vfxswap.errors import MediaError
from vfxswap.files import is_pattern
from vfxswap.frame import Frame
from vfxswap.media import PlateInfo, Reader
from vfxswap_plugins.media.picture_file import SUFFIXES, describe, info_of, read


class StillReader(Reader):
    """Reads an EXR, DPX, TIFF, PNG or JPEG as a plate of one frame, number 1.

    Samples keep their type (uint8, uint16, float16, float32) and order of rows; alpha stays as it is stored, not
    multiplied and not divided. Channels other than gray or R, G, B and A are carried along, unseen. The colour space is
    not guessed: only an EXR is known to be linear, and whoever reads states the rest.
    """

    name = "still"
    chooses_layers = True

    @classmethod
    def can_read(cls, path: Path) -> bool:
        """Whether the suffix is a picture's and the name is not a pattern of a sequence."""
        return path.suffix.lower() in SUFFIXES and not is_pattern(path)

    def __init__(self, path: Path, *, layer: str | None = None) -> None:
        self._path = path
        self._turn = 0
        self._stored = describe(path, layer)
        self._info = info_of(path, self._stored, first=1, count=1)

    @property
    def info(self) -> PlateInfo:
        """The header."""
        return self._info

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Reads the picture; `first` and `last` must be 1.

        Raises:
            MediaError: Another frame is asked for.
            TruncatedPlate: The file ends before its last line, or cannot be decoded.
        """
        if (first, last) != (1, 1):
            raise MediaError(
                f"{self._path} is one picture, frame 1; frames {first}-{last} are not in it", path=self._path
            )
        self._turn += 1
        return self._frames(self._turn)

    def close(self) -> None:
        """Gives back the file, which is open only while the picture is read."""
        self._turn += 1

    def _frames(self, turn: int) -> Iterator[Frame]:
        if turn == self._turn:
            yield Frame(1, read(self._path, self._stored, frame=1))
