"""What a movie shows of a plate that is not made to be looked at: a display's view of scene light or of a log."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from vfxswap.color import SPACES, ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import ColorError
from vfxswap.frame import Picture
from vfxswap.geometry import Box
from vfxswap.ocio import Config, Converter, DisplayView, converter, open_config
from vfxswap.ops.ycbcr import to_rgb

Samples = NDArray[np.float32]

_CODES: dict[str, tuple[Primaries, Transfer]] = {
    "g24_rec709_display": (Primaries.BT709, Transfer.BT709),
    "ocio:g24_rec709_scene": (Primaries.BT709, Transfer.BT709),
    "ocio:itu709_rec709_scene": (Primaries.BT709, Transfer.BT709),
    "srgb_rec709_display": (Primaries.BT709, Transfer.SRGB),
    "srgb_rec709_scene": (Primaries.BT709, Transfer.SRGB),
    "srgb_p3d65_display": (Primaries.P3_D65, Transfer.SRGB),
    "srgb_p3d65_scene": (Primaries.P3_D65, Transfer.SRGB),
    "g24_rec2020_display": (Primaries.BT2020, Transfer.BT2020_10),
    "pq_rec2020_display": (Primaries.BT2020, Transfer.PQ),
    "pq_p3d65_display": (Primaries.P3_D65, Transfer.PQ),
    "hlg_rec2020_display": (Primaries.BT2020, Transfer.HLG),
    "Rec.1886 Rec.709 - Display": (Primaries.BT709, Transfer.BT709),
    "Rec.1886 Rec.2020 - Display": (Primaries.BT2020, Transfer.BT2020_10),
    "sRGB - Display": (Primaries.BT709, Transfer.SRGB),
    "Display P3 - Display": (Primaries.P3_D65, Transfer.SRGB),
    "Rec.2100-PQ - Display": (Primaries.BT2020, Transfer.PQ),
    "Rec.2100-HLG - Display": (Primaries.BT2020, Transfer.HLG),
    "ST2084-P3-D65 - Display": (Primaries.P3_D65, Transfer.PQ),
}
"""Primaries and transfer of what displays are sent, by the identifier of the Color Interop Forum, or by the name in
configurations that are older than these. A movie for a display of ITU-R BT.1886 is tagged as BT.709, as everywhere."""

SHOWN_TAGS = tuple(name for name, tags in SPACES.items() if tags.transfer is not Transfer.LINEAR)
"""What `[delivery] tagged_as` takes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What `[delivery]` says of it."""

    display: str | None = None
    view: str | None = None
    color_space: str | None = None
    tagged_as: str | None = None

    @property
    def is_said(self) -> bool:
        """Whether a transform is asked for."""
        return self.display is not None or self.view is not None or self.color_space is not None


@dataclass(frozen=True, slots=True)
class Look:
    """How a plate is shown."""

    converter: Converter
    tags: ColorTags
    """Of the R'G'B' that it makes: full range."""
    words: str
    """For the report."""

    def shown(self, picture: Picture, tags: ColorTags, *, divide: bool) -> tuple[Samples, Samples, Samples]:
        """R'G'B' for the display, each `(H, W)` in 0..1: a display shows no less and no more.

        What is infinite is taken for 65504, what is no number for 0.

        Args:
            picture: The finished picture, in the plate's own form.
            tags: What its numbers mean.
            divide: Whether colours were multiplied by the picture's alpha and shall be again: they are divided by it
                first, as a view of half a colour is not half the view of it.
        """
        whole = Box(0, 0, picture.width, picture.height)
        rgb = to_rgb(picture.planes, picture.layout, tags, whole, device=torch.device("cpu"))
        pixels = rgb.permute(1, 2, 0).contiguous().numpy()
        if not divide:
            return _planes(self.converter(pixels))
        alpha = np.asarray(picture.planes[-1], np.float32)[..., None]
        covers = (alpha > 0) & (alpha < 1)
        shown = self.converter(np.divide(pixels, alpha, where=covers, out=pixels))
        return _planes(np.multiply(shown, alpha, where=covers, out=shown))


def needs_look(tags: ColorTags) -> bool:
    """Whether a plate holds scene light, which a movie cannot show as it is."""
    return tags.transfer is Transfer.LINEAR or (tags.space is not None and tags.space.is_linear)


def look_problem(wish: Wish, tags: ColorTags) -> str | None:
    """What is wrong with what is asked for, in words that say what to do; None if nothing is."""
    if not wish.is_said:
        return (
            "tagged_as goes with display and view, or color_space; leave it out" if wish.tagged_as is not None else None
        )
    try:
        look_of(wish, tags)
    except ColorError as error:
        return str(error)
    return None


def missing_look(tags: ColorTags) -> str:
    """What to say of a plate that needs a look, and of which none was asked for."""
    try:
        config, _ = _source(tags)
        displays = config.displays()
    except ColorError as error:
        return f"the plate is scene-linear, and a movie wants a view of it; {error}"
    display = next((name for name in displays if _codes(config, name) == _CODES["g24_rec709_display"]), None)
    display = display or next(iter(displays))
    return (
        "the plate is scene-linear, and a movie is for a display: state how it is shown, as in"
        f' display = "{display}" and view = "{displays[display][0]}" (displays of {config.name}:'
        f" {', '.join(displays)}); or write an image sequence"
    )


def look_of(wish: Wish, tags: ColorTags) -> Look:
    """The transform for a plate, and the tags of what it makes.

    Raises:
        ColorError: A name does not exist in the configuration; or what is made has no number in H.273, and
            `tagged_as` does not say what to write.
    """
    if wish.color_space is not None and (wish.display is not None or wish.view is not None):
        raise ColorError("state display and view, or color_space, not both")
    config, source = _source(tags)
    if wish.color_space is not None:
        target: str | DisplayView = wish.color_space
        made = config.space(wish.color_space).name
    else:
        target = DisplayView(wish.display or "", wish.view or "")
        made = ""
    convert = _converter(config, source, target)
    if isinstance(target, DisplayView):
        made = _space_of_view(config, target)
    return Look(convert, _tags_of(config, made, wish.tagged_as), f"{convert.words}, by {config.name}")


@lru_cache(maxsize=8)
def _converter(config: Config, source: str, target: str | DisplayView) -> Converter:
    return converter(config, source, target)


def _source(tags: ColorTags) -> tuple[Config, str]:
    """The plate's configuration and its space there."""
    if tags.space is not None:
        return open_config(tags.space.config)[0], tags.space.name
    here = (tags.primaries, tags.transfer)
    name = next((name for name, known in SPACES.items() if (known.primaries, known.transfer) == here), None)
    if tags.transfer is not Transfer.LINEAR or name is None:
        raise ColorError(
            "display, view and color_space are for plates whose colour space has a name in an OpenColorIO"
            f" configuration; this one is {name or 'unnamed'}: leave them out, or state [shot] color_space by such a"
            " name"
        )
    return open_config()[0], name


def _space_of_view(config: Config, wanted: DisplayView) -> str:
    """The space of what a display is sent, by its name in the configuration; empty if it has none."""
    library = config.library
    display = next(
        (name for name in config.displays() if name.lower() == wanted.display.lower()), library.getDefaultDisplay()
    )
    views = config.displays()[display]
    view = next((name for name in views if name.lower() == wanted.view.lower()), library.getDefaultView(display))
    space: str = library.getDisplayViewColorSpaceName(display, view)
    return display if space == "<USE_DISPLAY_NAME>" else space


def _codes(config: Config, space: str) -> tuple[Primaries, Transfer] | None:
    found = config.library.getColorSpace(space) if space else None
    identifier = found.getInteropID() if found is not None else ""
    return _CODES.get(identifier) or _CODES.get(space)


def _tags_of(config: Config, space: str, stated: str | None) -> ColorTags:
    if stated is not None:
        known = SPACES.get(stated)
        if known is None or stated not in SHOWN_TAGS:
            raise ColorError(f"tagged_as: unknown {stated!r}; allowed: {', '.join(SHOWN_TAGS)}")
        codes: tuple[Primaries, Transfer] | None = (known.primaries, known.transfer)
    else:
        codes = _codes(config, space)
    if codes is None:
        raise ColorError(
            f"H.273, by which movies say their colour, has no number for {space or 'this view'!r}; choose another"
            f' display, or state what the movie shall say of itself, as tagged_as = "bt709" ({", ".join(SHOWN_TAGS)})'
        )
    return ColorTags(*codes, Matrix.RGB, Range.FULL)


def _planes(pixels: Samples) -> tuple[Samples, Samples, Samples]:
    clipped = np.clip(pixels, 0, 1)
    return clipped[..., 0], clipped[..., 1], clipped[..., 2]
