"""Whose the weights of `autoencoder` are, and what is wrong with them, is known before the first frame."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vfxswap.brief import Brief
from vfxswap.errors import ExitCode, ModelMissing, Problem, UsageError, VfxswapError
from vfxswap.files import file_sha256
from vfxswap.identity import Consent, Identity, WeightsEntry
from vfxswap.models import ModelStore
from vfxswap.nets.comb import ARCHITECTURE, Comb
from vfxswap.testing import (
    options_of,
    setting,
    synthetic_card,
    synthetic_comb,
    synthetic_identity,
    write_synthetic_trained,
)
from vfxswap.trained import METADATA
from vfxswap_plugins.swappers.autoencoder import Autoencoder

COMB = synthetic_comb()
STRANGER: dict[str, Any] = {"performer": "somebody else"}
NARROW: dict[str, Any] = {"performer": "a double", "productions": ("Day Train",)}

Weighted = Callable[..., Identity]


def consent(**changes: Any) -> Consent:
    return synthetic_identity().consent.model_copy(update=changes)


def options(**values: Any) -> Any:
    return options_of(Autoencoder, {"identity": "hero", **values})


def brief(identity: Identity, **changes: Any) -> Brief:
    known = Brief(
        identities={"hero": identity},
        models=ModelStore([], {}),
        production="Night Train",
        purpose="double",
        today=date(2026, 6, 1),
        face_space="sRGB - Texture",
        device="cpu",
    )
    return replace(known, **changes)


def found(identity: Identity, values: Mapping[str, Any] | None = None, **changes: Any) -> list[Problem]:
    return list(Autoencoder.problems(options(**(values or {})), brief(identity, **changes)))


def file_error(identity: Identity, **values: Any) -> VfxswapError:
    """Why the trained file cannot be used; such a thing is said once."""
    with pytest.raises(VfxswapError) as caught:
        Autoencoder.model_files(options(**values), brief(identity))
    assert found(identity, values) == []
    return caught.value


def test_a_right_file_is_named_in_the_report(identity: Identity) -> None:
    (file,) = Autoencoder.model_files(options(), brief(identity))
    assert (file.path, file.sha256) == (identity.weights[0], file_sha256(identity.weights[0]))
    assert (file.licence, file.commercial) == ("CC0-1.0", True)
    assert file.consent == "a drawn face, by nobody; it is drawn by a formula"
    assert found(identity) == []


@pytest.mark.parametrize("key", ["who", "morph_to", "plate"])
def test_names_that_nobody_has(identity: Identity, key: str) -> None:
    values = {key: "duoble", **({"mask": "target"} if key == "plate" else {})}
    (problem,) = found(identity, values)
    assert str(problem) == (
        f"{key}: there is nobody of that name in the trained file (found 'duoble'); allowed: double, hero; did you"
        " mean 'double'?"
    )


def test_the_identity_is_found_by_either_of_its_names(identity: Identity) -> None:
    assert found(replace(identity, name="lead", title="hero")) == []
    (problem,) = found(replace(identity, name="lead", title="Anna, young"))
    assert (problem.key, problem.value, problem.allowed) == ("who", "lead", "double, hero")


def test_nobody_of_a_base_can_be_put_in(tmp_path: Path, with_weights: Weighted) -> None:
    write_synthetic_trained(tmp_path / "base.safetensors", COMB, identities={})
    (problem,) = found(with_weights(tmp_path))
    assert problem.message.startswith("the trained file is a base")


def test_weights_of_another_face_are_refused(tmp_path: Path, with_weights: Weighted) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, consents={"hero": consent(**STRANGER)})
    (problem,) = found(with_weights(tmp_path))
    assert problem.exit_code is ExitCode.REFUSED
    assert "was trained on the face of 'somebody else' (its 'hero'), but the consent record" in problem.message
    assert "is about 'a drawn face'" in problem.message


def test_who_was_there_to_be_replaced_is_not_put_in(tmp_path: Path, with_weights: Weighted) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, consents={"double": None})
    people = with_weights(tmp_path)
    (problem,) = found(people, {"who": "double"})
    assert "without a consent record of 'double'" in problem.message
    (problem,) = found(people, {"morph_to": "double", "morph": 0.2})
    assert (problem.exit_code, problem.key) == (ExitCode.REFUSED, "morph_to")
    assert found(people, {"mask": "product", "plate": "double"}) == []


def test_a_morph_needs_the_consent_of_both(tmp_path: Path, with_weights: Weighted) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, consents={"double": consent(**NARROW)})
    people, values = with_weights(tmp_path), {"morph_to": "double", "morph": 0.2}
    (problem,) = found(people, values)
    assert (problem.exit_code, problem.key) == (ExitCode.REFUSED, "morph_to")
    assert problem.message == "consent of a double is for Day Train, not for production 'Night Train'"
    assert found(people, values, production="Day Train") == []
    renewed = replace(people, consent=consent(performer="A  Double"))
    assert found(people, values, identities={"hero": people, "double": renewed}) == []


def test_what_came_from_noise_does_not_morph(tmp_path: Path, with_weights: Weighted) -> None:
    """Between two decoders that were never one lies no face."""
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, base="")
    (problem,) = found(with_weights(tmp_path), {"morph_to": "double", "morph": 0.2})
    assert problem.key == "morph_to"
    assert "was trained from noise, so that its decoders have no ancestor in common" in problem.message
    assert found(with_weights(tmp_path)) == []
    shared = Comb(replace(COMB.spec, shared=True))
    write_synthetic_trained(tmp_path / "hero.safetensors", shared, base="")
    assert found(with_weights(tmp_path), {"morph_to": "double", "morph": 0.2}) == []


def test_a_renewed_record_is_the_same_person(identity: Identity) -> None:
    renewed = consent(valid_until=date(2040, 1, 1), performer=" A drawn FACE ")
    assert found(replace(identity, consent=renewed)) == []


def test_another_face_space(identity: Identity, tmp_path: Path) -> None:
    (problem,) = found(identity, face_space="ACEScct")
    assert "was trained on faces in 'sRGB - Texture', but the stages of this pipeline see 'ACEScct'" in problem.message


def test_half_floats_are_for_cuda(identity: Identity) -> None:
    (problem,) = found(identity, {"precision": "fp16"})
    assert str(problem) == (
        'precision: needs a CUDA device, but this run is on cpu (found \'fp16\'); allowed: "fp32", "bf16"'
    )
    assert found(identity, {"precision": "fp16"}, device="cuda:0") == []


def test_no_weights(tmp_path: Path) -> None:
    error = file_error(synthetic_identity(folder=tmp_path))
    assert str(error) == f"identity 'hero' has no trained weights: there is no *.safetensors in {tmp_path}"
    (tmp_path / "hero.pth").write_bytes(b"PK")
    assert "hero.pth may hold code and is never loaded" in str(file_error(synthetic_identity(folder=tmp_path)))


def test_several_weights(tmp_path: Path, with_weights: Weighted) -> None:
    for name in ("v1", "v2"):
        write_synthetic_trained(tmp_path / f"hero_{name}.safetensors", COMB)
    people = with_weights(tmp_path)
    assert 'say which, as weights = "hero_v1.safetensors"' in str(file_error(people))
    assert "did you mean 'hero_v2.safetensors'?" in str(file_error(people, weights="heroe_v2"))
    for name in ("hero_v2", "hero_v2.safetensors"):
        (file,) = Autoencoder.model_files(options(weights=name), brief(people))
        assert file.path.name == "hero_v2.safetensors"


def changed(path: Path, **card: Any) -> None:
    """Writes another card into a trained file."""
    text = synthetic_card(COMB).model_dump(mode="json", by_alias=True)
    save_file(load_file(path), path, {METADATA: json.dumps({**text, **card})})


def test_a_file_of_another_architecture(identity: Identity) -> None:
    changed(identity.weights[0], architecture="comb-7", made_by="vfxswap 9.1")
    error = file_error(identity)
    assert f"architecture 'comb-7' (made by vfxswap 9.1); this reads '{ARCHITECTURE}'" in str(error)


def test_a_file_of_a_later_version(identity: Identity) -> None:
    changed(identity.weights[0], version=2, made_by="vfxswap 9.1")
    assert 'is of version 2 of the format (made by "vfxswap 9.1"); this reads 1' in str(file_error(identity))


def test_weights_that_are_not_the_cards(identity: Identity) -> None:
    """Found when they are loaded, which is before the first frame too."""
    path = identity.weights[0]
    tensors = load_file(path)
    tensors["styles"] = tensors["styles"][:1].clone()
    save_file(tensors, path, {METADATA: synthetic_card(COMB).model_dump_json(by_alias=True)})
    with pytest.raises(UsageError, match="not those of its card: see styles"):
        Autoencoder(options(), setting(identities={"hero": identity})).open()


def test_a_file_that_was_cut_short(identity: Identity) -> None:
    path = identity.weights[0]
    path.write_bytes(path.read_bytes()[:-100])
    assert "no safetensors file" in str(file_error(identity))


def test_a_pickle_is_not_opened(identity: Identity) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (identity.folder / "sprung",))

    identity.weights[0].write_bytes(pickle.dumps(Trap()))
    assert "no safetensors file" in str(file_error(identity))
    assert not (identity.folder / "sprung").exists()


def test_a_foreign_safetensors_file(identity: Identity) -> None:
    save_file({"weight": torch.zeros(3)}, identity.weights[0])
    assert "without a card" in str(file_error(identity))


def test_the_file_must_be_the_one_that_the_record_describes(identity: Identity) -> None:
    name = identity.weights[0].name
    entry = WeightsEntry(sha256="0" * 64, licence="owned", commercial=None, consent=None)
    with pytest.raises(ModelMissing, match=r"is not the file that .*identity.toml describes"):
        Autoencoder.model_files(options(), brief(replace(identity, entries={name: entry})))
    right = entry.model_copy(update={"sha256": file_sha256(identity.weights[0])})
    assert Autoencoder.model_files(options(), brief(replace(identity, entries={name: right})))


def test_whose_face_it_is_may_allow_paid_work(identity: Identity) -> None:
    """The card of a training says nothing of it."""
    path = identity.weights[0]
    write_synthetic_trained(path, COMB, commercial=None)
    entry = WeightsEntry(sha256=file_sha256(path), licence="owned", commercial=True, consent=None)
    (file,) = Autoencoder.model_files(options(), brief(replace(identity, entries={path.name: entry})))
    (silent,) = Autoencoder.model_files(options(), brief(identity))
    assert (file.commercial, silent.commercial) == (True, None)


def test_a_base_shows_nobody(identity: Identity) -> None:
    spec = replace(COMB.spec, shared=True, stills=2, still_px=COMB.spec.size_px)
    write_synthetic_trained(identity.weights[0], Comb(spec))
    assert "is a base, which shows nobody" in str(file_error(identity))


def test_a_missing_file_is_said(identity: Identity) -> None:
    identity.weights[0].unlink()
    assert isinstance(file_error(identity), UsageError)
