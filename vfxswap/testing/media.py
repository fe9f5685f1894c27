"""Contracts of readers and writers."""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from vfxswap.color import PixelLayout
from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.files import FramePattern
from vfxswap.frame import Frame
from vfxswap.media import DeliveryOptions, PlateInfo, Reader, Writer
from vfxswap.testing.layers import LayersOfWriterContract
from vfxswap.testing.pictures import YUV420P8, synthetic_frame, synthetic_info


class ReaderContract:
    """What every reader must keep. Set `reader`, and give `plate` a plate of at least one frame (a sequence: three)."""

    reader: ClassVar[type[Reader]]
    """The class under test."""
    one_file: ClassVar[bool] = True
    """Whether a plate is one file, which can be cut short; else it is a pattern of files, one a frame."""

    @pytest.fixture
    def plate(self, tmp_path: Path) -> Path:
        """A plate that the reader reads."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture 'plate' ({tmp_path} is free)")

    @pytest.fixture
    def opened(self, plate: Path) -> Iterator[Reader]:
        """The reader of that plate."""
        with self.reader(plate) as reader:
            yield reader

    def test_it_judges_by_the_name_alone(self, plate: Path, tmp_path: Path) -> None:
        """The host asks before there is a file."""
        assert self.reader.can_read(plate) is True
        assert self.reader.can_read(tmp_path / "absent" / plate.name) is True
        assert self.reader.can_read(tmp_path / "notes.txt") is False

    def test_its_header_is_sound(self, opened: Reader) -> None:
        """A run is checked by the header before a frame is decoded."""
        info = opened.info
        assert min(info.width, info.height, info.count) > 0
        assert info.rate > 0
        assert info.rotation in {0, 90, 180, 270}
        assert info == opened.info

    def test_frames_are_whole_and_in_order(self, opened: Reader) -> None:
        """Each number of the range once, as the header says."""
        info = opened.info
        frames = list(opened.frames(info.first, info.last))
        assert [frame.number for frame in frames] == list(range(info.first, info.last + 1))
        turned = info.rotation % 180 != 0
        for frame in frames:
            size = (frame.plate.width, frame.plate.height)
            assert size == ((info.height, info.width) if turned else (info.width, info.height))
            assert frame.plate.layout == info.layout

    def test_any_range_gives_the_same_bits(self, opened: Reader) -> None:
        """Chunks of a shot begin anywhere, also behind where another ended."""
        info = opened.info
        whole = {frame.number: _digest(frame) for frame in opened.frames(info.first, info.last)}
        middle = (info.first + info.last) // 2
        for first, last in ((info.last, info.last), (middle, info.last), (info.first, middle), (middle, middle)):
            part = {frame.number: _digest(frame) for frame in opened.frames(first, last)}
            assert part == {number: whole[number] for number in range(first, last + 1)}

    def test_a_frame_outlives_the_next(self, opened: Reader) -> None:
        """Windows hold frames while others are decoded."""
        info = opened.info
        held = list(opened.frames(info.first, info.last))
        assert [_digest(frame) for frame in held] == [_digest(frame) for frame in opened.frames(info.first, info.last)]

    def test_an_iterator_may_be_left(self, opened: Reader) -> None:
        """A cancelled run must be able to close."""
        info = opened.info
        next(iter(opened.frames(info.first, info.last)))
        assert next(iter(opened.frames(info.last, info.last))).number == info.last

    def test_a_missing_plate_is_named(self, plate: Path, tmp_path: Path) -> None:
        """The message must say which file."""
        with pytest.raises(MediaError, match="absent"):
            self.reader(tmp_path / "absent" / plate.name)

    def test_a_layer_that_is_not_there_is_refused(self, plate: Path) -> None:
        """Another picture than the one that was asked for must not be taken for it."""
        with pytest.raises(MediaError, match="layer"):
            self.reader.opened(plate, "no such layer")

    def test_the_layers_that_it_lists_can_be_chosen(self, plate: Path) -> None:
        """By the names that `vfxswap probe` shows."""
        with self.reader(plate) as reader:
            info = reader.info
        assert info.layer in info.layers or not info.layers
        for layer in info.layers:
            with self.reader.opened(plate, layer) as reader:
                assert reader.info.layer == layer

    def test_what_is_no_picture_is_refused(self, plate: Path, tmp_path: Path) -> None:
        """A text file under a movie's name happens."""
        if not self.one_file:
            pytest.skip("a plate of this reader is no single file")
        fake = tmp_path / f"fake{plate.suffix}"
        fake.write_text("no picture at all\n" * 50)
        with pytest.raises(MediaError, match="fake"):
            self.reader(fake)

    def test_a_plate_cut_short_is_not_taken_for_whole(self, plate: Path, tmp_path: Path) -> None:
        """A copy that broke off must not make a short delivery."""
        if not self.one_file:
            pytest.skip("a plate of this reader is no single file")
        with self.reader(plate) as reader:
            promised = reader.info.count
        broken = tmp_path / f"broken{plate.suffix}"
        broken.write_bytes(plate.read_bytes()[: plate.stat().st_size // 2])
        with pytest.raises(MediaError), self.reader(broken) as reader:  # noqa: PT012 - either may raise
            frames = list(reader.frames(reader.info.first, reader.info.last))
            if len(frames) < promised:
                raise MediaError("the reader says at once that there are fewer frames", path=broken)

    @pytest.fixture
    def files(self, plate: Path) -> Mapping[int, Path]:
        """The files of a sequence, by frame number."""
        if self.one_file:
            pytest.skip("a plate of this reader is one file")
        return FramePattern(plate).existing()

    def test_frames_have_the_numbers_of_their_files(self, plate: Path, files: Mapping[int, Path]) -> None:
        """1001 is 1001."""
        with self.reader(plate) as reader:
            info = reader.info
            assert (info.first, info.last, info.holes) == (min(files), max(files), ())
            assert [frame.number for frame in reader.frames(info.first, info.last)] == list(files)

    def test_a_hole_is_said_and_left_out(self, plate: Path, files: Mapping[int, Path]) -> None:
        """Nothing is renumbered, and nothing looks over the gap."""
        hole = list(files)[1]
        files[hole].unlink()
        with self.reader(plate) as reader:
            assert reader.info.holes == (hole,)
            assert (reader.info.first, reader.info.last) == (min(files), max(files))
            frames = list(reader.frames(reader.info.first, reader.info.last))
            (after,) = reader.frames(hole, hole + 1)
        assert [frame.number for frame in frames] == [number for number in files if number != hole]
        assert [frame.number for frame in frames if frame.cut_before] == [hole + 1]
        assert after.cut_before

    def test_a_file_cut_short_ends_the_plate_there(self, plate: Path, files: Mapping[int, Path]) -> None:
        """What comes before is given, and the message names file and frame."""
        number, path = list(files.items())[1]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with self.reader(plate) as reader:
            frames = reader.frames(reader.info.first, reader.info.last)
            assert next(frames).number == reader.info.first
            with pytest.raises(TruncatedPlate, match=path.name) as caught:
                next(frames)
        assert caught.value.frame == number

    def test_plates_are_never_written_to(self, plate: Path) -> None:
        """They are the original."""
        files = [plate] if plate.is_file() else sorted(plate.parent.iterdir())
        before = [(file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).digest()) for file in files]
        with self.reader(plate) as reader:
            list(reader.frames(reader.info.first, reader.info.last))
        assert [(f.stat().st_mtime_ns, hashlib.sha256(f.read_bytes()).digest()) for f in files] == before


class WriterContract(LayersOfWriterContract):
    """What every writer must keep. Set `writer` and `name`, and what else its deliveries need."""

    writer: ClassVar[type[Writer]]
    """The class under test."""
    name: ClassVar[str]
    """Name of a delivery, such as `"out.mov"`, or the pattern of a sequence."""
    options: ClassVar[Mapping[str, object]] = {}
    """Its settings, as in `[delivery]`."""
    layout: ClassVar[PixelLayout] = YUV420P8
    """How the plate's pictures are stored."""
    size: ClassVar[tuple[int, int]] = (256, 128)
    """`(width, height)` of the plate; some codecs want no less."""
    first: ClassVar[int] = 1001
    """Number of the first frame."""
    count: ClassVar[int] = 6
    """Number of frames."""

    @pytest.fixture
    def settings(self) -> DeliveryOptions:
        """The settings, validated."""
        return self.writer.Options.model_validate(dict(self.options))

    @pytest.fixture
    def like(self, tmp_path: Path) -> PlateInfo:
        """The plate's header."""
        width, height = self.size
        return synthetic_info(
            tmp_path / "plate.mov", layout=self.layout, width=width, height=height, first=self.first, count=self.count
        )

    @pytest.fixture
    def delivery(self, tmp_path: Path) -> Path:
        """Where the delivery goes: an empty folder."""
        folder = tmp_path / "delivery"
        folder.mkdir()
        return folder / self.name

    def open(self, delivery: Path, settings: DeliveryOptions, like: PlateInfo) -> Writer:
        """The writer of this delivery."""
        last = self.first + self.count - 1
        return self.writer(delivery, settings, like=like, tags=like.tags, first=self.first, last=last)

    def frames(self) -> Sequence[Frame]:
        """What is delivered."""
        width, height = self.size
        numbers = range(self.first, self.first + self.count)
        return [synthetic_frame(number, layout=self.layout, width=width, height=height) for number in numbers]

    def test_it_judges_by_the_name_alone(self, delivery: Path, tmp_path: Path) -> None:
        """The host asks before there is a folder."""
        assert self.writer.can_write(delivery) is True
        assert self.writer.can_write(tmp_path / "absent" / self.name) is True
        assert self.writer.can_write(tmp_path / "notes.txt") is False

    def test_an_unknown_option_is_refused(self) -> None:
        """A typing error in a pipeline file must not pass unseen."""
        with pytest.raises(ValidationError, match="no_such_option"):
            self.writer.Options.model_validate({**self.options, "no_such_option": 1})

    def test_every_option_is_described(self) -> None:
        """The reference page and editors show these descriptions."""
        assert not [name for name, field in self.writer.Options.model_fields.items() if not field.description]

    def test_a_good_delivery_has_no_problems(self, delivery: Path, settings: DeliveryOptions, like: PlateInfo) -> None:
        """And asking creates nothing."""
        assert list(self.writer.problems(delivery, settings, like, like.tags)) == []
        assert list(delivery.parent.iterdir()) == []

    def test_a_delivery_appears_when_it_is_whole(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo
    ) -> None:
        """Nothing half-written stands under its name, and nothing else is left."""
        writer = self.open(delivery, settings, like)
        seen: dict[Path, str] = {}
        for frame in self.frames():
            seen.update(self._whole_so_far(delivery, seen))
            writer.write(frame)
        seen.update(self._whole_so_far(delivery, seen))
        paths = writer.finish()
        assert sorted(paths) == sorted(delivery.parent.iterdir())
        assert all(path.stat().st_size > 0 for path in paths)
        assert {path: _file_digest(path) for path in seen} == seen

    def _whole_so_far(self, delivery: Path, seen: Mapping[Path, str]) -> Mapping[Path, str]:
        """Digests of what has appeared: the files of a sequence, one by one, else nothing."""
        named = _named(delivery)
        assert not named or self.is_sequence
        return {path: _file_digest(path) for path in named if path not in seen}

    @property
    def is_sequence(self) -> bool:
        """Whether each frame is a file of its own."""
        return FramePattern(Path(self.name)).is_numbered

    def test_the_same_frames_give_the_same_file(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo
    ) -> None:
        """Two machines render one shot alike."""
        digests = []
        for _ in range(2):
            writer = self.open(delivery, settings, like)
            for frame in self.frames():
                writer.write(frame)
            digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in writer.finish()])
        assert digests[0] == digests[1]

    def test_an_abandoned_delivery_leaves_nothing(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo
    ) -> None:
        """A failed run must not look like a finished one; of a sequence, whole frames stay."""
        writer = self.open(delivery, settings, like)
        writer.write(self.frames()[0])
        writer.abandon()
        left = {path: _file_digest(path) for path in delivery.parent.iterdir()}
        assert not left or self.is_sequence
        again = self.open(delivery, settings, like)
        again.write(self.frames()[0])
        again.keep_partial()
        assert all(_file_digest(path) == digest for path, digest in left.items())

    def test_abandoning_after_the_end_does_nothing(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo
    ) -> None:
        """The host abandons in its last step, whatever came before."""
        writer = self.open(delivery, settings, like)
        for frame in self.frames():
            writer.write(frame)
        paths = writer.finish()
        writer.abandon()
        assert all(path.is_file() for path in paths)

    def test_what_was_written_can_be_kept(self, delivery: Path, settings: DeliveryOptions, like: PlateInfo) -> None:
        """Under another name, and its own stays free; the frames of a sequence have theirs already."""
        writer = self.open(delivery, settings, like)
        for frame in self.frames()[:2]:
            writer.write(frame)
        kept = writer.keep_partial()
        assert kept
        assert self.is_sequence or not _named(delivery)
        assert all(path.is_file() for path in kept)
        assert sorted(kept) == sorted(delivery.parent.iterdir())

    def test_a_folder_that_is_a_file_is_refused(
        self, tmp_path: Path, settings: DeliveryOptions, like: PlateInfo
    ) -> None:
        """The message comes before the first frame."""
        (tmp_path / "taken").write_text("a file")
        with pytest.raises(MediaError):
            self.open(tmp_path / "taken" / self.name, settings, like)

    def test_an_older_delivery_stays_until_the_end(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo
    ) -> None:
        """A run that fails must not have cost the last good one."""
        if self.is_sequence:
            pytest.skip("the files of a sequence are replaced one by one")
        delivery.write_text("the last good one")
        writer = self.open(delivery, settings, like)
        writer.write(self.frames()[0])
        writer.abandon()
        assert delivery.read_text() == "the last good one"

    def test_frames_of_a_sequence_keep_their_numbers(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo
    ) -> None:
        """Also where some are left out; files of other frames are not touched."""
        if not self.is_sequence:
            pytest.skip("a delivery of this writer is one file")
        pattern = FramePattern(delivery)
        other = pattern.path(self.first + 3)
        other.write_text("the last good one")
        frames = self.frames()
        writer = self.open(delivery, settings, like)
        for frame in (frames[0], frames[2]):
            writer.write(frame)
        assert list(writer.finish()) == pattern.paths((self.first, self.first + 2))
        assert sorted(delivery.parent.iterdir()) == pattern.paths((self.first, self.first + 2, self.first + 3))
        assert other.read_text() == "the last good one"

    def test_frames_come_in_order(self, delivery: Path, settings: DeliveryOptions, like: PlateInfo) -> None:
        """A frame that comes late would be lost, or stand in a wrong place."""
        frames = self.frames()
        writer = self.open(delivery, settings, like)
        writer.write(frames[1])
        with pytest.raises(MediaError):
            writer.write(frames[0])
        writer.abandon()


def _digest(frame: Frame) -> str:
    found = hashlib.sha256()
    for plane in frame.plate.planes:
        found.update(np.ascontiguousarray(plane).tobytes())
    return found.hexdigest()


def _named(delivery: Path) -> list[Path]:
    """Files that stand under the delivery's own name."""
    pattern = FramePattern(delivery)
    return list(pattern.existing().values()) if pattern.is_numbered else [delivery] * delivery.exists()


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
