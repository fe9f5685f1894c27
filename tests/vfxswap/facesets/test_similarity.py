"""Faces that do not belong stand out: by their looks, or to a recogniser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vfxswap.cli import main
from vfxswap.errors import UsageError
from vfxswap.faceset import Faceset, FacesetWriter
from vfxswap.facesets.similarity import Recogniser, compare_faces

Model = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A recogniser that knows people by the colour of their faces: the mean of each channel, less the middle."""

    def model(*, size: int = 112, middle: float = 127.5, flat: bool = True) -> Path:
        shape = [1, 3, size, size]
        nodes = [
            helper.make_node("Sub", ["image", "middle"], ["centred"]),
            helper.make_node("GlobalAveragePool", ["centred"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["vector"], axis=1),
        ]
        out = "vector" if flat else "centred"
        graph = helper.make_graph(
            nodes if flat else nodes[:1],
            "colour",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, [1, 3] if flat else shape)],
            [numpy_helper.from_array(np.full((1, 3, 1, 1), middle, np.float32), "middle")],
        )
        path = tmp_path / f"colour_{size}_{middle}_{flat}.onnx"
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(proto, str(path))
        return path

    return model


@pytest.fixture
def mixed(stills_set: Faceset, tmp_path: Path) -> Faceset:
    """The first six stills, and among them two of a person of the opposite colours."""
    writer = FacesetWriter(tmp_path / "mixed", stills_set.crop, stills_set.info)
    for index in range(6):
        writer.add(stills_set.image(index), stills_set.landmarks(index), source="own.mov", frame=index)
    for index in (0, 5):
        writer.add(1 - stills_set.image(index), stills_set.landmarks(index), source="strange.mov", frame=index)
    return writer.finish()


def test_a_stranger_stands_out_by_looks(mixed: Faceset) -> None:
    _, strangers = compare_faces(mixed, least=0.0)
    assert [face.record.source for face in strangers] == ["strange.mov"] * 2
    assert all(face.like_own < 0 for face in strangers)
    assert all(face.like_other is None for face in strangers)


def test_a_recogniser_is_asked_and_the_index_says_so(mixed: Faceset, model: Model) -> None:
    before = mixed.hash
    recogniser = Recogniser(model())
    written, strangers = compare_faces(mixed, recogniser=recogniser)
    assert [face.record.source for face in strangers] == ["strange.mov"] * 2
    read = Faceset.load(mixed.folder)
    assert [r.similarity for r in read.records] == [r.similarity for r in written.records]
    own = [r.similarity or 0 for r in read.records if r.source == "own.mov"]
    assert min(own) > 0.8
    assert max(r.similarity or 0 for r in read.records if r.source == "strange.mov") < 0
    assert read.info.made_from["compared by"] == f"{recogniser.path.name} ({recogniser.sha256})"
    assert read.hash == before
    assert not list(mixed.folder.glob(".*"))


def test_the_recogniser_sees_what_it_wants_to(stills_set: Faceset, model: Model) -> None:
    """Mean colours of the aligned face, of 0..255 or of -1..1, have the same direction."""
    image, landmarks = stills_set.image(0), stills_set.landmarks(0)
    plain = Recogniser(model())(image, landmarks)
    signed = Recogniser(model(middle=0.0), values=(-1.0, 1.0))(image, landmarks)
    np.testing.assert_allclose(plain, signed, atol=1e-3)
    assert float(np.linalg.norm(plain)) == pytest.approx(1, abs=1e-5)
    grey = Recogniser(model())(torch.full((3, 96, 96), 0.75), landmarks)
    np.testing.assert_allclose(grey, np.full(3, 3**-0.5), atol=1e-5)


def test_faces_that_are_more_like_another_are_named(
    mixed: Faceset, stills_set: Faceset, model: Model, tmp_path: Path
) -> None:
    writer = FacesetWriter(tmp_path / "other", stills_set.crop, stills_set.info)
    for index in range(4):
        writer.add(1 - stills_set.image(index), stills_set.landmarks(index), source="other.mov", frame=index)
    other = writer.finish()
    _, strangers = compare_faces(mixed, recogniser=Recogniser(model()), other=other, least=-2)
    assert [face.record.source for face in strangers] == ["strange.mov"] * 2
    assert all((face.like_other or 0) > 0.8 for face in strangers)


def test_what_is_no_recogniser_is_refused(stills_set: Faceset, model: Model, tmp_path: Path) -> None:
    image, landmarks = stills_set.image(0), stills_set.landmarks(0)
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(UsageError, match=r"no\.onnx is no ONNX model that OpenCV can run"):
        Recogniser(tmp_path / "no.onnx")
    with pytest.raises(UsageError, match="cannot read the model"):
        Recogniser(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match=r"is no face recogniser: it gives \(1, 3, 112, 112\)"):
        Recogniser(model(flat=False))(image, landmarks)


def test_few_faces_cannot_be_compared(stills_set: Faceset) -> None:
    pair = Faceset(stills_set.folder, stills_set.crop, stills_set.info, stills_set.records[:2])
    with pytest.raises(UsageError, match="holds 2 faces; to compare takes at least 3"):
        compare_faces(pair)


def test_the_command(mixed: Faceset, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["faceset", "similarity", str(mixed.folder), "--model", str(model())]
    assert main(words) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == f"{mixed.folder}: 2 of 8 faces may be of somebody else"
    assert out[0].startswith("faces/strange_00000")
    assert main([*words, "--template", "round"]) == 2
    assert "must be one of arcface_112_v1" in capsys.readouterr().err
