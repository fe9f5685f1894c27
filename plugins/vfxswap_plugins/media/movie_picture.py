"""A picture that keeps the decoder's own frame beside the views onto its planes."""

from __future__ import annotations

import av
import numpy as np

from vfxswap.color import ColorTags, PixelLayout
from vfxswap.frame import Picture
from vfxswap_plugins.media.layouts import planes_of, rows_of, store_of


class MoviePicture(Picture):
    """A decoded frame and its planes, without a copy.

    Args:
        frame: The library's frame; its samples are never written to by this class.
        layout: How to read it; its name is the frame's pixel format.
        tags: What its numbers mean.
        writable: Whether the planes may be written to: only for a frame that no decoder knows of.

    Raises:
        MediaError: The frame's pixel format is not supported.
    """

    def __init__(self, frame: av.VideoFrame, layout: PixelLayout, tags: ColorTags, *, writable: bool = False) -> None:
        super().__init__(planes_of(frame, store_of(frame.format.name), writable=writable), layout, tags)
        self.frame = frame

    def copy(self) -> MoviePicture:
        """A picture with its own, writable planes; time, colour tags and duration are kept.

        Side data of the frame, such as closed captions, is not: the library cannot copy it.
        """
        return MoviePicture(_copied(self.frame), self.layout, self.tags, writable=True)


def new_frame(width: int, height: int, pix_fmt: str) -> av.VideoFrame:
    """A frame with memory of its own; bytes that belong to no channel are 0: equal pictures have equal bytes."""
    frame = av.VideoFrame(width, height, pix_fmt)
    if store_of(pix_fmt).has_padding:
        for plane in frame.planes:
            rows_of(plane, np.dtype(np.uint8))[:] = 0
    return frame


def _copied(source: av.VideoFrame) -> av.VideoFrame:
    target = av.VideoFrame(source.width, source.height, source.format.name)
    for old, new in zip(source.planes, target.planes, strict=True):
        lines, room = rows_of(old, np.dtype(np.uint8)), rows_of(new, np.dtype(np.uint8))
        used = min(lines.shape[1], room.shape[1])
        np.copyto(room[:, :used], lines[:, :used])
    target.pts, target.duration = source.pts, source.duration
    if source.time_base is not None:
        target.time_base = source.time_base
    target.color_primaries, target.color_trc = source.color_primaries, source.color_trc
    target.colorspace, target.color_range = source.colorspace, source.color_range
    return target
