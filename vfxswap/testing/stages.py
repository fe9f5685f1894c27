"""The contract that every stage must keep, whatever its kind."""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from pydantic import ValidationError

from vfxswap import stage as contracts
from vfxswap.models import ModelStore
from vfxswap.stage import KINDS, Asset, Setting, Stage, StageOptions
from vfxswap.testing.journey import assert_chunks_have_the_bits_of_the_whole
from vfxswap.testing.material import options_of, setting, synthetic_identity


class StageContract:
    """What every stage must keep, of whatever kind.

    Set `stage`, and `options` if some have no default; override the fixtures where a stage needs more.
    """

    stage: ClassVar[type[Stage[Any]]]
    """The class under test."""
    options: ClassVar[Mapping[str, object]] = {}
    """Its settings, as in a pipeline file."""
    device: ClassVar[str] = "cpu"
    """Where its tensors are."""

    @pytest.fixture
    def values(self, tmp_path: Path) -> Mapping[str, object]:  # noqa: ARG002 - for suites whose options name files
        """The settings; override it where a file has to be made first."""
        return self.options

    @pytest.fixture
    def models(self) -> ModelStore:
        """The store that the stage loads from; override it for a stage with models."""
        return ModelStore([], {})

    @pytest.fixture
    def given(self, models: ModelStore) -> Setting:
        """What the host tells the stage."""
        return setting(device=self.device, models=models, identities={"hero": synthetic_identity()})

    @pytest.fixture
    def made(self, values: Mapping[str, object], given: Setting, tmp_path: Path) -> Iterator[Any]:
        """The stage, opened."""
        stage = self.stage(options_of(self.stage, values, folder=tmp_path), given)
        stage.open()
        yield stage
        stage.close()

    def test_an_unknown_option_is_refused(self, values: Mapping[str, object], tmp_path: Path) -> None:
        """A typing error in a pipeline file must not pass unseen."""
        with pytest.raises(ValidationError, match="no_such_option"):
            options_of(self.stage, {**values, "no_such_option": 1}, folder=tmp_path)

    def test_options_derive_from_those_of_the_kind(self) -> None:
        """The host reads the kind's own settings."""
        kind = next((base for base in self.stage.__mro__ if base in KINDS.values()), Stage)
        demanded = getattr(contracts, f"{kind.__name__}Options", StageOptions)
        assert issubclass(self.stage.Options, demanded)

    def test_every_option_is_described(self) -> None:
        """The reference page and editors show these descriptions."""
        undescribed = [name for name, field in self.stage.Options.model_fields.items() if not field.description]
        assert not undescribed

    def test_options_have_a_json_schema(self) -> None:
        """Editors complete and check pipeline files by it."""
        schema = self.stage.Options.model_json_schema()
        assert schema["additionalProperties"] is False

    def test_the_stage_is_described(self) -> None:
        """The reference page begins with its docstring."""
        assert inspect.cleandoc(self.stage.__doc__ or "")

    def test_it_needs_and_gives_known_assets(self) -> None:
        """The order of a pipeline is checked by them."""
        assert self.stage.needs | self.stage.gives <= set(get_args(Asset))
        assert self.stage.threads in {"many", "one"}

    def test_its_window_is_finite_and_fixed(self, made: Any) -> None:
        """Chunks of a shot compute handles as wide as the window."""
        behind, ahead = made.window
        assert (behind >= 0, ahead >= 0) == (True, True)
        assert made.window == (behind, ahead)

    def test_surveyed_frames_are_of_the_plate(self, made: Any) -> None:
        """Every chunk must survey the same frames, and they must exist."""
        frames = made.survey_frames(1001, 1048)
        assert list(frames) == sorted({number for number in frames if 1001 <= number <= 1048})

    def test_its_models_are_names(self, made: Any) -> None:
        """They are looked up before the first frame."""
        assert all(isinstance(name, str) for name in self.stage.models(made.options))

    def test_chunks_have_the_bits_of_the_whole(
        self, values: Mapping[str, object], given: Setting, tmp_path: Path
    ) -> None:
        """A farm divides a shot; windows, surveys, batches and cuts must not show it."""
        assert_chunks_have_the_bits_of_the_whole(
            self.stage,
            options_of(self.stage, values, folder=tmp_path),
            folder=tmp_path / "chunks",
            identities=given.identities,
            models=given.models,
            device=self.device,
        )

    def test_it_can_be_opened_again(self, made: Any) -> None:
        """A shot of several chunks may open a stage more than once."""
        made.close()
        made.open()
