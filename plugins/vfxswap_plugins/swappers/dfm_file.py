"""DFM files: what DeepFaceLab exports of a trained face, an ONNX network with names of its own.

It takes `in_face` `(N, S, S, 3)` B'G'R' 0..1 and, where one network morphs between two faces, `morph_value` `(1,)`. It
gives, in this order, the mask of the face that is there, the new face `(N, S, S, 3)` and the new face's mask. Which
part of a head it was trained on, whose it is and under what licence, the file does not say: a sidecar does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from vfxswap.alignment import FaceType
from vfxswap.errors import UsageError
from vfxswap.identity import Identity
from vfxswap.modelfile import ModelFile, Sidecar, described_file, read_sidecar, sidecar_path
from vfxswap.weights import choose_weights
from vfxswap_plugins._onnx_file import OnnxFile, Port, read_onnx

ACCEPTED = (
    "inputs in_face float [N, S, S, 3] and, of a morphing model, morph_value float [1]; three outputs, in this order:"
    " mask [N, S, S, 1], face [N, S, S, 3], mask [N, S, S, 1]"
)
"""The signature, in words."""


class DfmSidecar(Sidecar):
    """What may be said of a DFM in `NAME.dfm.toml` beside it."""

    face_type: FaceType | None = Field(None, description="Which part of a head it was trained on.")
    resolution: int | None = Field(None, gt=0, description="Side of its pictures in pixels.")


@dataclass(frozen=True, slots=True)
class Dfm:
    """A DFM, by its header and its sidecar."""

    path: Path
    resolution: int
    face: str
    """Name of the input that takes the face."""
    morph: str | None
    """Name of the input that takes the morph value, if there is one."""
    outputs: tuple[str, str, str]
    """Names of the target's mask, the new face, the new face's mask."""
    sidecar: DfmSidecar

    def described(self, identity: Identity) -> ModelFile:
        """The file with its sha256, for the report; what the sidecar leaves open, identity.toml may say.

        Raises:
            ModelMissing: It is not the file that the sidecar or identity.toml describes.
        """
        entry = identity.entries.get(self.path.name)
        if entry is None:
            return described_file(self.path, self.sidecar)
        found = described_file(self.path, self.sidecar, pinned=entry.sha256)
        commercial = entry.commercial if found.commercial is None else found.commercial
        return replace(found, licence=found.licence or entry.licence, commercial=commercial)


def chosen_dfm(identity: Identity, name: str | None) -> Path:
    """The DFM of an identity's folder; an ONNX file, where there is no `.dfm`.

    Args:
        identity: Who is put in.
        name: The file's name, with or without its suffix; None takes the only one.

    Raises:
        UsageError: There is no such file, or none was named and there are several.
    """
    named = any(path.suffix.lower() == ".dfm" for path in identity.weights) and name is None
    return choose_weights(identity, name, suffixes=(".dfm",) if named else (".dfm", ".onnx"))


def read_dfm(path: Path) -> Dfm:
    """Reads a DFM's header and its sidecar.

    Raises:
        ModelMissing: The file cannot be read.
        UsageError: It is not ONNX, or ONNX of another kind; or its sidecar is wrong, or of another resolution.
    """
    file = read_onnx(path)
    faces = [port for port in file.inputs if "in_face" in port.name and port.fits(None, None, None, 3)]
    morphs = [port for port in file.inputs if "morph_value" in port.name and port.fits(1)]
    if len(faces) != 1 or len(morphs) > 1 or len(file.inputs) != 1 + len(morphs) or not _gives(file.outputs):
        raise file.unlike(ACCEPTED)
    sidecar = read_sidecar(DfmSidecar, path)
    first, second, third = (port.name for port in file.outputs)
    return Dfm(
        path=path,
        resolution=_resolution(file, faces[0], sidecar),
        face=faces[0].name,
        morph=morphs[0].name if morphs else None,
        outputs=(first, second, third),
        sidecar=sidecar,
    )


def _gives(outputs: Sequence[Port]) -> bool:
    sides = ((None, None, None, 1), (None, None, None, 3), (None, None, None, 1))
    return len(outputs) == len(sides) and all(port.fits(*side) for port, side in zip(outputs, sides, strict=True))


def _resolution(file: OnnxFile, face: Port, sidecar: DfmSidecar) -> int:
    stated = {side for side in (face.shape or ())[1:3] if isinstance(side, int)}
    if len(stated) > 1:
        raise file.unlike(ACCEPTED)
    found = next(iter(stated), None)
    if found is None and sidecar.resolution is None:
        raise UsageError(
            f"{file.path} does not say its resolution ({face}); write resolution = ... into {sidecar_path(file.path)}"
        )
    if found is not None and sidecar.resolution not in {None, found}:
        raise UsageError(
            f"{sidecar_path(file.path)}: resolution is {sidecar.resolution}, but the network takes {face}; is it the"
            " sidecar of another file?"
        )
    return found or sidecar.resolution or 0
