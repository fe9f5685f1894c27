"""What the colours of a pipeline are called: names of movies' spaces, and those of an OpenColorIO configuration.

The names of `vfxswap.color.SPACES` that movies go by have a path of their own, which is exact; the scene-linear ones
and all others are the configuration's. It is opened when a name asks for it, so that a movie needs none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vfxswap.color import SPACES, ColorTags, ConfigSpace, Matrix, Primaries, Range, Transfer
from vfxswap.errors import ColorError, Problem

if TYPE_CHECKING:
    from vfxswap.identity import Identity
    from vfxswap.ocio import Config
    from vfxswap.pipeline.reading import Notes
    from vfxswap.pipeline.tables import Shot

DEFAULT_FACE = "sRGB - Texture"
"""What stages see unless `face_space` says otherwise."""
FILE_ID = "colorInteropID"
"""The attribute by which a picture says its space (Color Interop Forum)."""
MATRICES = {"bt709": Matrix.BT709, "bt601": Matrix.SMPTE170M, "bt2020": Matrix.BT2020_NCL}
"""What `[shot] ycbcr_matrix` takes."""
MOVIE_SPACES = tuple(name for name, tags in SPACES.items() if tags.transfer is not Transfer.LINEAR)
"""The names that need no configuration."""


@dataclass(frozen=True)
class ColorNames:
    """The names that hold for a pipeline."""

    stated: str | None = None
    """The configuration that it states, `ocio://NAME` or a whole path."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def config(self) -> Config:
        """The configuration.

        Raises:
            ColorError: It cannot be had.
        """
        from vfxswap.ocio import open_config  # noqa: PLC0415 - most pipelines on movies need no OpenColorIO

        return open_config(self.stated, environ=self.environ)[0]

    def space(self, name: str) -> ConfigSpace:
        """A space of the configuration by its name, an alias or a role.

        Raises:
            ColorError: There is none; shows the nearest, movies' names among them.
        """
        return self.config.space(name, also=MOVIE_SPACES)

    def face(self, name: str) -> ConfigSpace | None:
        """The space in which stages see faces; None for the usual one, whatever the configuration calls it.

        Raises:
            ColorError: There is none of that name, or it is not one of pictures as a display shows them.
        """
        if name == DEFAULT_FACE:
            return None
        from vfxswap.ocio import face_space_of  # noqa: PLC0415

        found = face_space_of(self.config, name)
        return None if found == face_space_of(self.config) else found

    def of_plate(
        self, tags: ColorTags, stated: str | None, *, file_id: str | None = None, path: object = None
    ) -> ColorTags:
        """What a plate's numbers mean: what is stated, else what the file itself says; nothing is guessed.

        Args:
            tags: What the file says.
            stated: A movie's name, or one of the configuration; None is nothing.
            file_id: The file's `colorInteropID`.
            path: The file, for messages.

        Raises:
            ColorError: It is not known, or a name does not exist.
        """
        if stated in MOVIE_SPACES:
            return tags.resolved(stated, path=path)
        if stated is not None:
            return self.with_space(tags, self.space(stated), path=path)
        if file_id and (tags.transfer is Transfer.LINEAR or not tags.complete):
            return self.with_space(tags, self._of_file(tags, file_id, path), path=path)
        return tags.resolved(None, path=path)

    def of_still(self, tags: ColorTags, stated: str, *, file_id: str | None = None, path: object = None) -> ColorTags:
        """The same for an identity's still, whose folder always states something: a scene-linear file says its own.

        Raises:
            ColorError: It is not known, or a name does not exist.
        """
        if file_id and (tags.transfer is Transfer.LINEAR or not tags.complete):
            return self.with_space(tags, self._of_file(tags, file_id, path), path=path)
        if stated not in MOVIE_SPACES:
            return self.with_space(tags, self.space(stated), path=path)
        if tags.transfer is not Transfer.LINEAR:
            return tags.resolved(stated, path=path)
        # Scene light that does not say more: its primaries are those of the stated space.
        primaries = tags.primaries
        if primaries is Primaries.UNSPECIFIED:
            primaries = SPACES[stated].primaries
        return replace(tags, primaries=primaries, matrix=Matrix.RGB).resolved(None, path=path)

    def _of_file(self, tags: ColorTags, file_id: str, path: object) -> ConfigSpace:
        found = self.config.space_of_id(file_id)
        here = (tags.primaries, tags.transfer)
        known = (name for name, each in SPACES.items() if (each.primaries, each.transfer) == here)
        name = next(known, None)  # an older configuration may have the space, and not know what files call it
        if found is None and name in self.config.words():
            found = self.config.space(str(name))
        if found is None:
            raise ColorError(
                f"{path or 'the plate'} says that its colour is {file_id!r}, for which the configuration"
                f' {self.config.name} has no space; state it, as [shot] color_space = "ACEScg"',
                path=path,
            )
        return found

    def with_space(self, tags: ColorTags, space: ConfigSpace, *, path: object = None) -> ColorTags:
        """Tags of a plate whose R'G'B' goes by the configuration; matrix and range stay those of the stream.

        Raises:
            ColorError: It is Y'CbCr and does not say its matrix; or it cannot be linear light.
        """
        if tags.matrix is Matrix.UNSPECIFIED:
            raise ColorError(
                f"{path or 'the plate'} does not say with which matrix its Y'CbCr was made; state it, as"
                f' [shot] ycbcr_matrix = "bt709" (allowed: {", ".join(MATRICES)})',
                path=path,
            )
        if tags.matrix is not Matrix.RGB and space.is_linear:
            raise ColorError(f"{path or 'the plate'} is stored as Y'CbCr, {space.name!r} is a space of RGB", path=path)
        primaries, transfer = tags.primaries, tags.transfer
        if space.is_linear:
            primaries, transfer = self._primaries(space), Transfer.LINEAR
        elif transfer is Transfer.LINEAR:
            primaries, transfer = Primaries.UNSPECIFIED, Transfer.UNSPECIFIED
        limits = Range.FULL if tags.matrix is Matrix.RGB else Range.LIMITED
        return ColorTags(
            primaries=primaries,
            transfer=transfer,
            matrix=tags.matrix,
            range=limits if tags.range is Range.UNSPECIFIED else tags.range,
            space=space,
        )

    def _primaries(self, space: ConfigSpace) -> Primaries:
        """Of a linear space, where they have a number."""
        words = self.config.words()
        linear = ((name, each) for name, each in SPACES.items() if each.transfer is Transfer.LINEAR)
        return next((each.primaries for name, each in linear if words.get(name) == space.name), Primaries.UNSPECIFIED)


@dataclass(frozen=True, slots=True)
class ShotColors:
    """The colours of a shot, settled."""

    names: ColorNames
    tags: ColorTags | None
    """Of the plate, complete; None if they cannot be known."""
    face: ConfigSpace | None
    """What stages see; None is "sRGB - Texture"."""


def settle_colors(shot: Shot, tags: ColorTags, file_id: str | None, notes: Notes) -> ShotColors:
    """Finds what the names of a shot mean, and whether there is an exact way back from what stages see.

    Args:
        shot: The table.
        tags: What the plate itself says.
        file_id: Its `colorInteropID`.
        notes: Takes what is wrong.
    """
    names = ColorNames(shot.color_config)
    found: ConfigSpace | None = None
    plate: ColorTags | None = None
    key = "color_config"
    try:
        if shot.color_config is not None:
            _ = names.config  # is checked, though nothing may ask for it
        key = "face_space"
        found = names.face(shot.face_space)
        key = "color_space"
        if shot.ycbcr_matrix is not None and tags.matrix is not Matrix.RGB:
            tags = replace(tags, matrix=MATRICES[shot.ycbcr_matrix])
        plate = names.of_plate(tags, shot.color_space, file_id=file_id, path=shot.plate)
        if plate.space is not None:
            _check_way_back(plate.space, found)
    except ColorError as error:
        plate = None
        if not notes.blames("shot", key):
            value = getattr(shot, key)
            notes.add(Problem(str(error), stage="shot", key=key, value=value), "shot", key)
    return ShotColors(names, plate, found)


def _check_way_back(space: ConfigSpace, face: ConfigSpace | None) -> None:
    from vfxswap.ocio import check_way_back, config_of, face_space_of  # noqa: PLC0415

    check_way_back(space, face or face_space_of(config_of(space.config)))


def check_stills(identities: Iterable[Identity], names: ColorNames, notes: Notes) -> None:
    """Whether the colour spaces of identities' stills exist."""
    for identity in identities:
        if identity.color_space in MOVIE_SPACES:
            continue
        try:
            names.space(identity.color_space)
        except ColorError as error:
            file = str(identity.folder / "identity.toml")
            notes.add(Problem(str(error), file=file, key="color_space", value=identity.color_space))


def color_facts(
    names: ColorNames, tags: ColorTags, face: ConfigSpace | None, identities: Iterable[Identity]
) -> dict[str, Any]:
    """What a report and a content key say of colours: names, the configuration with its hash, and who computes."""
    facts: dict[str, Any] = {"space": name_of(tags), "face_space": DEFAULT_FACE if face is None else face.name}
    needed = tags.space is not None or face is not None or names.stated is not None
    if not needed and not any(_may_ask(identity) for identity in identities):
        return facts
    from vfxswap.ocio import LIBRARY, config_of, face_space_of, transform  # noqa: PLC0415

    config = names.config
    facts |= {"config": config.name, "config_sha256": config.sha256, "opencolorio": LIBRARY}
    if tags.space is not None:
        face = face or face_space_of(config_of(tags.space.config))
        both = [transform(tags.space, face), transform(face, tags.space)]
        missing = list(dict.fromkeys(each.uncovered for each in both if each.uncovered))
        facts["computed_by"] = f"OpenColorIO on the CPU, for {', '.join(missing)}" if missing else "torch"
        facts["transforms"] = [each.key for each in both]
    return facts


def _may_ask(identity: Identity) -> bool:
    """Whether an identity's stills may be in a space of the configuration."""
    return identity.color_space not in MOVIE_SPACES or any(still.suffix.lower() == ".exr" for still in identity.stills)


def name_of(tags: ColorTags) -> str | None:
    """The name that says what a plate's numbers mean; None if there is none."""
    if tags.space is not None:
        return tags.space.name
    here = (tags.primaries, tags.transfer)
    return next((name for name, each in SPACES.items() if (each.primaries, each.transfer) == here), None)
