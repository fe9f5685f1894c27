"""Contracts of stages that join a face to its neighbours: deflickers in time, blends and finishes in the picture."""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from vfxswap.frame import FaceWindow, PastedFace
from vfxswap.stage import Blend, Deflicker, Finish
from vfxswap.testing.checks import assert_same_bits, check_tensor, faces_on, given_tensor, untouched, window_on
from vfxswap.testing.material import face_batch, face_window
from vfxswap.testing.stages import StageContract


class DeflickerContract(StageContract):
    """What every deflicker must keep."""

    @pytest.fixture
    def faces(self, made: Any) -> FaceWindow:
        """A whole window."""
        behind, ahead = made.window
        return window_on(face_window(behind + ahead + 1, center=behind), self.device)

    def test_it_is_a_deflicker(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, Deflicker)

    def test_it_gives_one_face(self, made: Any, faces: FaceWindow) -> None:
        """`(3, S, S)` float32, finite."""
        check_tensor(made.steady(faces)[None], like=faces.plate[:1], channels=3)

    def test_it_gives_the_same_bits_again(self, made: Any, faces: FaceWindow) -> None:
        """A frame that is rendered again must not differ."""
        assert_same_bits([made.steady(faces)], [made.steady(faces)])

    def test_it_leaves_its_input_alone(self, made: Any, faces: FaceWindow) -> None:
        """The host shares tensors between stages."""
        with untouched(faces.swapped, faces.plate, faces.mattes):
            made.steady(faces)

    def test_shots_have_ends(self, made: Any) -> None:
        """Windows are shorter at cuts and at the shot's ends."""
        behind, ahead = made.window
        for count, center in ((1, 0), (ahead + 1, 0), (behind + 1, behind)):
            window = window_on(face_window(count, center=center), self.device)
            check_tensor(made.steady(window)[None], like=window.plate[:1], channels=3)

    def test_what_stands_still_stays(self, made: Any, faces: FaceWindow) -> None:
        """A steady face has nothing to be steadied."""
        still = _still(faces)
        assert float((made.steady(still) - still.swapped[still.center]).abs().max()) < 2e-3

    def test_flat_windows_give_finite_faces(self, made: Any, faces: FaceWindow) -> None:
        """Black frames and empty mattes happen."""
        black = torch.zeros_like(faces.plate)
        empty = replace(faces, swapped=black, plate=black, mattes=torch.zeros_like(faces.mattes))
        check_tensor(made.steady(empty)[None], like=faces.plate[:1], channels=3)


class BlendContract(StageContract):
    """What every blend must keep."""

    @pytest.fixture
    def joint(self) -> tuple[Tensor, Tensor, Tensor]:
        """`(patch, plate, matte)` of one face."""
        faces = faces_on(face_batch(1), self.device)
        return given_tensor(faces.swapped), faces.crops, given_tensor(faces.mattes)

    def test_it_is_a_blend(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, Blend)

    @pytest.mark.parametrize("size", [(96, 96), (64, 41), (3, 50), (1, 1)])
    def test_it_takes_boxes_of_any_size(
        self, made: Any, joint: tuple[Tensor, Tensor, Tensor], size: tuple[int, int]
    ) -> None:
        """A matte's box on the plate has any width and height."""
        patch, plate, matte = (picture[..., : size[0], : size[1]].contiguous() for picture in joint)
        check_tensor(made.blend(patch, plate, matte), like=plate, channels=3)

    def test_it_gives_the_same_bits_again(self, made: Any, joint: tuple[Tensor, Tensor, Tensor]) -> None:
        """A frame that is rendered again must not differ."""
        assert_same_bits([made.blend(*joint)], [made.blend(*joint)])

    def test_it_leaves_its_input_alone(self, made: Any, joint: tuple[Tensor, Tensor, Tensor]) -> None:
        """The plate is written to by the host alone."""
        with untouched(*joint):
            made.blend(*joint)

    def test_the_patch_is_seen(self, made: Any, joint: tuple[Tensor, Tensor, Tensor]) -> None:
        """Where the matte is 1 the result is not the plate."""
        patch, plate, matte = joint
        change = (made.blend(patch, plate, matte) - plate).abs().mean(dim=1, keepdim=True)
        assert float(change[matte == 1].mean()) > 0.1 * float(
            (patch - plate).abs().mean(dim=1, keepdim=True)[matte == 1].mean()
        )

    def test_equal_pictures_stay(self, made: Any, joint: tuple[Tensor, Tensor, Tensor]) -> None:
        """A patch that equals the plate changes nothing, highlights and negative values neither."""
        _, plate, matte = joint
        bright = plate * 4 - 1
        assert float((made.blend(bright.clone(), bright, matte) - bright).abs().max()) < 1e-4

    def test_degenerate_mattes_give_finite_pictures(self, made: Any, joint: tuple[Tensor, Tensor, Tensor]) -> None:
        """Empty and full mattes happen."""
        patch, plate, matte = joint
        for cover in (0.0, 1.0):
            check_tensor(made.blend(patch, plate, torch.full_like(matte, cover)), like=plate, channels=3)


class FinishContract(StageContract):
    """What every finish must keep."""

    @pytest.fixture
    def pasted(self, made: Any) -> PastedFace:
        """A drawn face in its plate, with the plates around."""
        behind, ahead = made.window
        faces = faces_on(face_batch(behind + ahead + 1), self.device)
        middle = slice(behind, behind + 1)
        matte = given_tensor(faces.mattes)[middle]
        result = torch.lerp(faces.crops[middle], given_tensor(faces.swapped)[middle], matte)
        return PastedFace(result, matte, faces.crops, faces.frames, behind, place=0)

    def test_it_is_a_finish(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, Finish)

    @pytest.mark.parametrize("size", [(96, 96), (64, 41), (3, 50), (1, 1)])
    def test_it_takes_boxes_of_any_size(self, made: Any, pasted: PastedFace, size: tuple[int, int]) -> None:
        """A matte's box on the plate has any width and height."""
        part = _part(pasted, size)
        check_tensor(made.finish(part), like=part.result, channels=3)

    def test_it_gives_the_same_bits_again(self, made: Any, pasted: PastedFace) -> None:
        """A frame that is rendered again must not differ."""
        assert_same_bits([made.finish(pasted)], [made.finish(pasted)])

    def test_it_leaves_its_input_alone(self, made: Any, pasted: PastedFace) -> None:
        """Pictures are shared between windows and threads."""
        with untouched(pasted.result, pasted.matte, pasted.plates):
            made.finish(pasted)

    def test_shots_have_ends(self, made: Any, pasted: PastedFace) -> None:
        """Windows are shorter at cuts and at the shot's ends."""
        middle = slice(pasted.center, pasted.center + 1)
        alone = replace(pasted, plates=pasted.plates[middle], frames=pasted.frames[middle], center=0)
        check_tensor(made.finish(alone), like=alone.result, channels=3)

    def test_degenerate_mattes_give_finite_pictures(self, made: Any, pasted: PastedFace) -> None:
        """Empty and full mattes, and black plates, happen."""
        for cover in (0.0, 1.0):
            face = replace(pasted, matte=torch.full_like(pasted.matte, cover))
            check_tensor(made.finish(face), like=face.result, channels=3)
        black = replace(pasted, result=torch.zeros_like(pasted.result), plates=torch.zeros_like(pasted.plates))
        check_tensor(made.finish(black), like=black.result, channels=3)


def _part(pasted: PastedFace, size: tuple[int, int]) -> PastedFace:
    def cut(pictures: Tensor) -> Tensor:
        return pictures[..., : size[0], : size[1]].contiguous()

    return replace(pasted, result=cut(pasted.result), matte=cut(pasted.matte), plates=cut(pasted.plates))


def _still(window: FaceWindow) -> FaceWindow:
    """The central frame, repeated."""

    def repeated(tensor: Tensor) -> Tensor:
        return tensor[window.center].expand_as(tensor).contiguous()

    return replace(
        window, swapped=repeated(window.swapped), plate=repeated(window.plate), mattes=repeated(window.mattes)
    )
