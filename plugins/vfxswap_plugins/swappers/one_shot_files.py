"""The files of a one-shot swapper: found by its card, and checked against it before the first frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vfxswap.errors import ModelMissing, UsageError
from vfxswap.modelfile import ModelFile, Sidecar, described_file
from vfxswap.models import ModelStore
from vfxswap_plugins._onnx_file import OnnxFile, Port, last_matrix, read_onnx
from vfxswap_plugins.swappers.swap_cards import (
    Cards,
    CropSource,
    EmbeddingSource,
    NetworkCard,
    RecogniserCard,
    SwapperCard,
    read_cards,
)

CARDS_FILE = "swap_cards.toml"
"""Name of a card file, beside this module or in a folder of the model store."""


@dataclass(frozen=True, slots=True)
class Named:
    """The files that a pipeline names itself."""

    weights: Path | None = None
    recogniser: Path | None = None
    converter: Path | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """A swapper's networks, with their cards."""

    card: SwapperCard
    swapper: OnnxFile
    recogniser_card: RecogniserCard | None
    recogniser: OnnxFile | None
    converter: OnnxFile | None
    described: tuple[tuple[Path, NetworkCard], ...]
    """All of them, for the report."""

    def model_files(self) -> list[ModelFile]:
        """The files with their sha256.

        Raises:
            ModelMissing: One is not the file that its card describes.
        """
        return [
            described_file(path, Sidecar(licence=card.licence, commercial=card.commercial), pinned=card.sha256)
            for path, card in self.described
        ]


def all_cards(store: ModelStore, own: Path | None) -> Cards:
    """The cards that come with the plugin, those in the model folders, and those that a pipeline names.

    Raises:
        UsageError: A card file is wrong.
    """
    folders = [folder / CARDS_FILE for folder in store.folders]
    files = [Path(__file__).with_name(CARDS_FILE), *(file for file in folders if file.is_file())]
    return read_cards([*files, own] if own is not None else files)


def find_files(name: str, cards: Cards, store: ModelStore, named: Named) -> Files:
    """Finds a swapper's files and looks at their headers.

    Raises:
        ModelMissing: A file is in no folder, or must be named and is not.
        UsageError: There is no such card, or a file is ONNX of another kind than its card says.
    """
    card, source = cards.swapper(name), cards.swapper(name).source
    files: list[tuple[Path, NetworkCard]] = [(_located(card, named.weights, store, "weights"), card)]
    swapper = _checked_swapper(files[0][0], card)
    recogniser_card, recogniser, converter = None, None, None
    if isinstance(source, EmbeddingSource):
        recogniser_card = cards.recogniser(source.recogniser)
        files.append((_located(recogniser_card, named.recogniser, store, "recogniser_weights"), recogniser_card))
        recogniser = _checked_recogniser(files[-1][0], recogniser_card)
        if source.converter is not None:
            converter_card = cards.converter(source.converter)
            files.append((_located(converter_card, named.converter, store, "converter_weights"), converter_card))
            converter = _checked_converter(files[-1][0])
        _check_widths(card, source, swapper, [file for file in (recogniser, converter) if file is not None])
    return Files(card, swapper, recogniser_card, recogniser, converter, tuple(files))


def _located(card: NetworkCard, named: Path | None, store: ModelStore, option: str) -> Path:
    if named is not None:
        return named
    if card.sha256 is None:
        raise ModelMissing(
            f"the file {card.file} ({card.title}) is not pinned by its card, so a pipeline must say where it is:"
            f' {option} = "..."'
        )
    folders = [folder for folder in store.folders if (folder / card.file).is_file()]
    if not folders:
        listed = ", ".join(map(str, store.folders)) or "none; set VFXSWAP_MODEL_PATH"
        raise ModelMissing(
            f"{card.file} ({card.title}; {card.licence}) is in none of the model folders ({listed}); put it into one,"
            f' or name it: {option} = "..."'
        )
    return folders[0] / card.file


def _checked_swapper(path: Path, card: SwapperCard) -> OnnxFile:
    file, side = read_onnx(path), card.picture.size_px
    ports = {port.name: port for port in file.inputs}
    target, source = ports.get(card.target_input), ports.get(card.source_input)
    wants = (None, 3, *(card.source.picture.size_px,) * 2) if isinstance(card.source, CropSource) else (None, None)
    right = target is not None and target.fits(None, 3, side, side) and source is not None and source.fits(*wants)
    if not right or len(ports) != 2 or not file.outputs or not file.outputs[0].fits(None, 3, side, side):
        raise file.unlike(
            f"inputs {card.target_input} float [N, 3, {side}, {side}] and {card.source_input} float [N,"
            f" {', '.join('D' if wanted is None else str(wanted) for wanted in wants[1:])}]; first output float"
            f" [N, 3, {side}, {side}], as the card of {card.file} says"
        )
    return file


def _checked_recogniser(path: Path, card: RecogniserCard) -> OnnxFile:
    file, side = read_onnx(path), card.picture.size_px
    if len(file.inputs) != 1 or not file.inputs[0].fits(None, 3, side, side) or not _is_vector(file.outputs):
        raise file.unlike(f"one input float [N, 3, {side}, {side}]; first output float [N, D]: a recogniser")
    return file


def _checked_converter(path: Path) -> OnnxFile:
    file = read_onnx(path)
    if len(file.inputs) != 1 or not _is_vector(file.inputs) or not _is_vector(file.outputs):
        raise file.unlike("one input float [N, D]; first output float [N, D]: a converter of embeddings")
    return file


def _is_vector(ports: Sequence[Port]) -> bool:
    return bool(ports) and ports[0].fits(None, None)


def _check_widths(card: SwapperCard, source: EmbeddingSource, swapper: OnnxFile, chain: Sequence[OnnxFile]) -> None:
    """Whether each step gives as many numbers as the next one takes, as far as the files say."""
    steps = [(str(file.path), _width(file.inputs[0]), _width(file.outputs[0])) for file in chain]
    if source.projection == "emap":
        rows, columns = last_matrix(swapper.path).shape
        steps.append((f"the last weight of {swapper.path}", rows, columns))
    taken = next(port for port in swapper.inputs if port.name == card.source_input)
    steps.append((f"the input {card.source_input} of {swapper.path}", _width(taken), None))
    for (giver, _, given), (taker, wanted, _) in pairwise(steps):
        if None not in {given, wanted} and given != wanted:
            raise UsageError(f"{giver} gives {given} numbers, but {taker} takes {wanted}; are these files of one kind?")


def _width(port: Port) -> int | None:
    side = port.shape[-1] if port.shape else None
    return side if isinstance(side, int) else None
