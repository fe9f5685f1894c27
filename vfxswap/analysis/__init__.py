"""What was found in a shot, kept beside it; and what artists change of it.

The analysis spares finding again, and changes no bit of a result. Edits are words of people: they change results, are
kept apart, and hold when the shot is analysed anew.
"""

from vfxswap.analysis.book import Book
from vfxswap.analysis.edited import EditedFace, Settled, Stand, check_edits, settled
from vfxswap.analysis.edits import Edits, read_edits, write_edits
from vfxswap.analysis.file import (
    Analysis,
    Finding,
    Head,
    PlateStamp,
    extend_analysis,
    is_alike,
    read_analysis,
    read_head,
    write_analysis,
)
from vfxswap.analysis.found import Found, FoundFace, FoundFrame, exact, exact_points, same_faces

__all__ = [
    "Analysis",
    "Book",
    "EditedFace",
    "Edits",
    "Finding",
    "Found",
    "FoundFace",
    "FoundFrame",
    "Head",
    "PlateStamp",
    "Settled",
    "Stand",
    "check_edits",
    "exact",
    "exact_points",
    "extend_analysis",
    "is_alike",
    "read_analysis",
    "read_edits",
    "read_head",
    "same_faces",
    "settled",
    "write_analysis",
    "write_edits",
]
