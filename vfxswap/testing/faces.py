"""Contracts of the stages that work on crops: swappers, mattes and colour matches."""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from vfxswap.frame import FaceBatch
from vfxswap.geometry import Landmarks
from vfxswap.identity import Identity
from vfxswap.stage import ColorMatch, Matte, Setting, Swapper
from vfxswap.testing.checks import assert_same_bits, check_matte, check_tensor, faces_on, given_tensor, untouched
from vfxswap.testing.material import face_batch, faces_of
from vfxswap.testing.stages import StageContract


class SwapperContract(StageContract):
    """What every swapper must keep."""

    options: ClassVar[Mapping[str, object]] = {"identity": "hero"}

    @pytest.fixture
    def identity(self, given: Setting) -> Identity:
        """Who is put in."""
        return given.identities["hero"]

    @pytest.fixture
    def faces(self, made: Any) -> FaceBatch:
        """Three faces, cut as the swapper wants them."""
        return faces_on(face_batch(3, crop=made.crop, swapped=False), self.device)

    def test_it_is_a_swapper(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, Swapper)

    def test_it_gives_faces_and_mattes(self, made: Any, faces: FaceBatch, identity: Identity) -> None:
        """float32 of the crops' size, finite, mattes of 0..1."""
        swapped = made.swap(faces, identity)
        check_tensor(swapped.crops, like=faces.crops, channels=3)
        check_matte(swapped.mattes, like=faces.crops)

    def test_it_gives_the_same_bits_again(self, made: Any, faces: FaceBatch, identity: Identity) -> None:
        """A frame that is rendered again must not differ."""
        assert_same_bits(made.swap(faces, identity), made.swap(faces, identity))

    def test_faces_do_not_depend_on_one_another(self, made: Any, faces: FaceBatch, identity: Identity) -> None:
        """Chunks of a shot batch faces differently."""
        together = made.swap(faces, identity)
        for i in range(len(faces)):
            alone = made.swap(faces_of(faces, [i]), identity)
            assert_same_bits(alone, (together.crops[i : i + 1], together.mattes[i : i + 1]))

    def test_it_leaves_its_input_alone(self, made: Any, faces: FaceBatch, identity: Identity) -> None:
        """The host shares tensors between stages."""
        with untouched(faces.crops, *(face.image for face in identity.portraits)):
            made.swap(faces, identity)

    def test_flat_crops_give_finite_faces(self, made: Any, faces: FaceBatch, identity: Identity) -> None:
        """Black and burnt-out frames happen."""
        for value in (0.0, 8.0):
            swapped = made.swap(replace(faces, crops=torch.full_like(faces.crops, value)), identity)
            check_tensor(swapped.crops, like=faces.crops, channels=3)
            check_matte(swapped.mattes, like=faces.crops)


class MatteContract(StageContract):
    """What every matte stage must keep."""

    @pytest.fixture
    def faces(self) -> FaceBatch:
        """Three faces."""
        return faces_on(face_batch(3), self.device)

    def test_it_is_a_matte(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, Matte)

    def test_it_gives_mattes(self, made: Any, faces: FaceBatch) -> None:
        """`(N, 1, S, S)` float32, 0..1."""
        check_matte(made.matte(faces), like=faces.crops)

    def test_it_gives_the_same_bits_again(self, made: Any, faces: FaceBatch) -> None:
        """A frame that is rendered again must not differ."""
        assert_same_bits([made.matte(faces)], [made.matte(faces)])

    def test_faces_do_not_depend_on_one_another(self, made: Any, faces: FaceBatch) -> None:
        """Chunks of a shot batch faces differently."""
        together = made.matte(faces)
        for i in range(len(faces)):
            assert_same_bits([made.matte(faces_of(faces, [i]))], [together[i : i + 1]])

    def test_it_leaves_its_input_alone(self, made: Any, faces: FaceBatch) -> None:
        """The host shares tensors between stages."""
        with untouched(faces.crops, faces.swapped, faces.mattes):
            made.matte(faces)

    def test_it_works_before_there_is_a_swapped_face(self, made: Any, faces: FaceBatch) -> None:
        """A stage that does not say it needs `swapped` may stand before the swapper."""
        if {"swapped", "matte"} & self.stage.needs:
            pytest.skip("this stage says that it needs more than crops")
        check_matte(made.matte(replace(faces, swapped=None, mattes=None)), like=faces.crops)

    def test_faces_outside_the_crop_give_sound_mattes(self, made: Any, faces: FaceBatch) -> None:
        """Aligners are wrong at times."""
        away = [Landmarks(points.points + 1.5 * faces.crops.shape[-1], points.scheme) for points in faces.landmarks]
        check_matte(made.matte(replace(faces, landmarks=tuple(away))), like=faces.crops)

    def test_flat_crops_give_sound_mattes(self, made: Any, faces: FaceBatch) -> None:
        """Black frames happen."""
        check_matte(made.matte(replace(faces, crops=torch.zeros_like(faces.crops))), like=faces.crops)


class ColorMatchContract(StageContract):
    """What every colour match must keep."""

    @pytest.fixture
    def faces(self) -> FaceBatch:
        """Three faces with swapped crops and mattes."""
        return faces_on(face_batch(3), self.device)

    def test_it_is_a_color_match(self) -> None:
        """The host drives it as one."""
        assert issubclass(self.stage, ColorMatch)

    def test_its_map_keeps_the_form(self, made: Any, faces: FaceBatch) -> None:
        """A batch or a single crop, of any size, comes back in its form."""
        colors = made.fit(faces.swapped, faces.crops, faces.mattes)
        check_tensor(colors(faces.swapped), like=faces.crops, channels=3)
        small = torch.linspace(0, 1, 3 * 5 * 7, device=self.device).reshape(3, 5, 7)
        assert colors(small).shape == small.shape

    def test_it_gives_the_same_bits_again(self, made: Any, faces: FaceBatch) -> None:
        """A frame that is rendered again must not differ."""
        first, second = (made.fit(faces.swapped, faces.crops, faces.mattes)(faces.swapped) for _ in range(2))
        assert_same_bits([first], [second])

    def test_its_map_treats_crops_one_by_one(self, made: Any, faces: FaceBatch) -> None:
        """One map serves all chunks of a shot, whatever the batches."""
        colors = made.fit(faces.swapped, faces.crops, faces.mattes)
        together = colors(faces.swapped)
        for i in range(len(faces)):
            assert_same_bits([colors(given_tensor(faces.swapped)[i : i + 1])], [together[i : i + 1]])

    def test_it_leaves_its_input_alone(self, made: Any, faces: FaceBatch) -> None:
        """The host shares tensors between stages."""
        with untouched(faces.swapped, faces.crops, faces.mattes):
            made.fit(faces.swapped, faces.crops, faces.mattes)(faces.swapped)

    def test_highlights_are_not_clipped(self, made: Any, faces: FaceBatch) -> None:
        """Values above 1 and below 0 are light too, and must stay apart from 1 and 0."""
        ramp = torch.linspace(-0.25, 2.0, 10, device=self.device).expand(3, 1, 10)
        mapped = made.fit(faces.swapped, faces.crops, faces.mattes)(ramp).mean(dim=0)[0]
        assert bool((mapped.diff() > 0).all())

    @pytest.mark.parametrize("cover", [0.0, 1.0])
    def test_degenerate_crops_give_finite_colors(self, made: Any, faces: FaceBatch, cover: float) -> None:
        """Flat crops and empty mattes happen."""
        flat = torch.full_like(faces.crops, 0.5)
        matte = torch.full_like(given_tensor(faces.mattes), cover)
        for swapped, plate in ((flat, flat), (flat, faces.crops), (faces.crops, flat)):
            check_tensor(made.fit(swapped, plate, matte)(faces.crops), like=faces.crops, channels=3)
