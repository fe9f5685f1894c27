"""Which configuration holds, and what its names mean."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import PyOpenColorIO as Ocio

from vfxswap.color import ConfigSpace
from vfxswap.errors import ColorError

PINNED: Final = "ocio://studio-config-v4.0.0_aces-v2.0_ocio-v2.5"
"""Of a pipeline that says nothing: the ACES studio configuration, which knows cameras' logs. A name, as what
`ocio://default` stands for moves from release to release of the library."""
BUILTIN: Final = "ocio://"
LIBRARY: Final = str(Ocio.__version__)
"""OpenColorIO's version."""
_MOVING: Final = ("default", "cg-config-latest", "studio-config-latest")

FAILURES: Final = (Ocio.Exception, Ocio.ExceptionMissingFile)
"""What the library raises; the second is not among the first in Python."""

Origin = Literal["pipeline", "$OCIO", "pinned"]
"""Who chose a configuration."""


class Config:
    """An OpenColorIO configuration.

    Args:
        source: `ocio://NAME`, or the path of a file.

    Raises:
        ColorError: There is no such configuration, it is damaged, or too new for the library.
    """

    def __init__(self, source: str) -> None:
        self.source, self._config = source, _loaded(source)
        self.name: str = self._config.getName() or Path(source).name
        """Its own, else its file's."""
        self.sha256: str = hashlib.sha256(_text(source)).hexdigest()
        """Of its text; files that it names are not in it."""

    @property
    def library(self) -> Ocio.Config:
        """OpenColorIO's own object."""
        return self._config

    def names(self) -> list[str]:
        """Names of all colour spaces that hold colours, in the configuration's order."""
        return [space.getName() for space in self._spaces() if not space.isData()]

    def words(self) -> dict[str, str]:
        """All that a space may be called, names, aliases and roles, and the name of each."""
        spaces = [space for space in self._spaces() if not space.isData()]
        names = {space.getName(): space.getName() for space in spaces}
        aliases = {alias: space.getName() for space in spaces for alias in space.getAliases()}
        return {**{role: name for role, name in self._config.getRoles() if name in names}, **aliases, **names}

    def space(self, name: str, *, also: Iterable[str] = ()) -> ConfigSpace:
        """The space of a name, an alias or a role; case does not matter.

        Args:
            name: What is asked for.
            also: Names that may stand there too, for what is said of a wrong one.

        Raises:
            ColorError: There is none (the nearest are shown), or it holds data and no colours.
        """
        found = self._config.getColorSpace(name)
        if found is None:
            near = nearest(name, {**{word: word for word in also}, **self.words()})
            hint = f"nearest: {', '.join(map(repr, near))}" if near else f"it has: {', '.join([*also, *self.names()])}"
            raise ColorError(f"the configuration {self.name} has no colour space {name!r}; {hint}")
        if found.isData():
            raise ColorError(f"{name!r} of {self.name} holds data and no colours; state what the numbers mean")
        return ConfigSpace(
            config=self.source,
            sha256=self.sha256,
            name=found.getName(),
            encoding=found.getEncoding(),
            is_linear=self._is_linear(found),
        )

    def space_of_id(self, interop_id: str) -> ConfigSpace | None:
        """The space of an identifier of the Color Interop Forum, as files carry it; None if there is none."""
        if self._config.getColorSpace(interop_id) is not None:
            return self.space(interop_id)
        named = (space.getName() for space in self._spaces() if space.getInteropID() == interop_id)
        found = next(named, None)
        return None if found is None else self.space(found)

    def displays(self) -> dict[str, list[str]]:
        """Views by display, those that the configuration shows."""
        return {display: list(self._config.getViews(display)) for display in self._config.getDisplays()}

    def _spaces(self) -> Iterable[Ocio.ColorSpace]:
        found: Iterable[Ocio.ColorSpace] = self._config.getColorSpaces(
            Ocio.SEARCH_REFERENCE_SPACE_ALL, Ocio.COLORSPACE_ALL
        )
        return found

    def _is_linear(self, space: Ocio.ColorSpace) -> bool:
        """Whether its numbers are proportional to light: by its encoding, else by what its transform does."""
        if encoding := space.getEncoding():
            return encoding in {"scene-linear", "display-linear"}
        name: str = space.getName()
        try:
            return bool(self._config.isColorSpaceLinear(name, space.getReferenceSpaceType()))
        except FAILURES as error:
            reason = " ".join(str(error).split())
            raise ColorError(f"the colour space {name!r} of {self.name} cannot be used: {reason}") from error


def nearest(name: str, words: Mapping[str, str], *, count: int = 3) -> list[str]:
    """What is most likely meant by a wrong name, best first.

    Args:
        name: What was said.
        words: What may be said, and what each stands for. Case, spaces and signs count for nothing.
        count: How many at most.

    Returns:
        Names that the words stand for: of those spelt like it, then of those that hold all its parts.
    """
    spelt = {_plain(word): meant for word, meant in reversed(list(words.items()))}
    close = difflib.get_close_matches(_plain(name), spelt, n=count)
    parts = [plain for part in re.split(r"[\s_.-]+", name) if len(plain := _plain(part)) > 1]
    holding = [word for word in sorted(spelt, key=len) if parts and all(part in word for part in parts)]
    return list(dict.fromkeys(spelt[word] for word in [*close, *holding]))[:count]


def _plain(word: str) -> str:
    return re.sub(r"[\W_]", "", word.lower())


def open_config(
    stated: str | None = None, *, folder: Path | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[Config, Origin]:
    """Opens the configuration that holds.

    Args:
        stated: What the pipeline file says, `ocio://NAME` or a path; wins over all else.
        folder: Of the pipeline file; paths that it states are relative to it.
        environ: `OCIO` is read from it, where nothing is stated.

    Returns:
        The configuration, and who chose it. A built-in one goes by its full name, whichever it was asked by.

    Raises:
        ColorError: There is none under that name or path, or it cannot be loaded; says who asked for it.
    """
    if stated is not None:
        if stated.removeprefix(BUILTIN) in _MOVING and stated.startswith(BUILTIN):
            raise ColorError(
                f"{stated} stands for another configuration with each release of OpenColorIO; state the one that it"
                f" is now, {Ocio.ResolveConfigPath(stated)}, or leave it out for {PINNED}"
            )
        path = stated if stated.startswith(BUILTIN) or folder is None else str(folder / stated)
        return config_of(path), "pipeline"
    if named := environ.get("OCIO"):
        try:
            return config_of(str(Ocio.ResolveConfigPath(named))), "$OCIO"
        except ColorError as error:
            raise ColorError(f"$OCIO: {error}; correct or unset it, or state [shot] color_config") from error
    return config_of(PINNED), "pinned"


def config_of(source: str) -> Config:
    """The configuration of a source; the same object while its file is the same.

    Raises:
        ColorError: As `Config` says.
    """
    if source.startswith(BUILTIN):
        return _opened(source, 0)
    try:
        stamp = Path(source).stat().st_mtime_ns
    except OSError as error:
        raise ColorError(f"there is no OpenColorIO configuration {source}: {error.strerror or error}") from error
    return _opened(source, stamp)


@lru_cache(maxsize=16)
def _opened(source: str, stamp: int) -> Config:  # noqa: ARG001 - another time of change is another configuration
    return Config(source)


def _text(source: str) -> bytes:
    if source.startswith(BUILTIN):
        text: str = Ocio.BuiltinConfigRegistry()[source.removeprefix(BUILTIN)]
        return text.encode()
    return Path(source).read_bytes()


def _loaded(source: str) -> Ocio.Config:
    try:
        return Ocio.Config.CreateFromFile(source)
    except Ocio.ExceptionMissingFile as error:
        raise ColorError(f"there is no OpenColorIO configuration {source}") from error
    except Ocio.Exception as error:
        if source.startswith(BUILTIN):
            known = [f"{BUILTIN}{name}" for name, *_ in Ocio.BuiltinConfigRegistry().getBuiltinConfigs()]
            near = nearest(source, {name: name for name in known}, count=2)
            raise ColorError(
                f"OpenColorIO {Ocio.__version__} has no built-in configuration {source};"
                f" {'nearest' if near else 'it has'}: {', '.join(near or known)}"
            ) from error
        words = " ".join(str(error).split()).removeprefix("Error: ")
        if "not able to load that config version" in words:
            raise ColorError(
                f"the configuration {source} is too new for OpenColorIO {Ocio.__version__}: take a newer one"
                " (pip install -U opencolorio), or save the configuration for an older version"
            ) from error
        raise ColorError(f"{source} cannot be read as an OpenColorIO configuration: {words}") from error
