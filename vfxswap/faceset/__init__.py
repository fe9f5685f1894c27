"""Facesets: folders of aligned crops of one person's face, with an index of what each one shows.

    faceset.json        the index: JSON, one face a line
    faces/NAME.png      crops, 8 or 16 bits, in the face space
    mattes/NAME.png     what of a crop is face, 8 bits, where an artist or a model has said so

The index is all that tells what a picture is; a file that it does not list is no part of the faceset. While faces are
added, `faces.part.jsonl` stands in for it, so that what was begun can be gone on with.
"""

from __future__ import annotations

from vfxswap.faceset.reading import Faceset
from vfxswap.faceset.records import FaceRecord, FacesetInfo
from vfxswap.faceset.writing import FacesetWriter, holds_faceset, remove_faceset, write_index

__all__ = ["FaceRecord", "Faceset", "FacesetInfo", "FacesetWriter", "holds_faceset", "remove_faceset", "write_index"]
