"""Detectors that were trained on people find the performers, where the exact landmarks say they are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from vfxswap.geometry import REGIONS, Points, mapped, umeyama
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.play import LabFrame, build
from vfxswap.lab.shot import PRESETS

_SIZE = (640, 360)
_MESH_PX = 192
_MEASURED = sorted({i for name in ("left_eye", "right_eye", "lips_outer", "nose") for i in REGIONS["mesh468"][name]})


def _picture(frame: LabFrame, name: str) -> NDArray[np.uint8]:
    image = getattr(frame, name)
    code: NDArray[np.uint8] = (srgb_encoded(image) * 255).round().byte().permute(1, 2, 0).numpy()
    return code


def _facemesh(session: onnxruntime.InferenceSession, image: NDArray[np.uint8], five: Points) -> Points:
    """468 points of the crop that the true five points give, upright on the eye line."""
    eyes = five[:2]
    across = eyes[1] - eyes[0]
    centre = five.mean(axis=0)
    side = 4.4 * float(np.linalg.norm(across))
    x = across / np.linalg.norm(across)
    y = np.array([-x[1], x[0]])
    corners = np.stack([centre - side / 2 * (x + y), centre + side / 2 * (x - y), centre + side / 2 * (y - x)])
    target = np.array([(0.0, 0.0), (_MESH_PX, 0.0), (0.0, _MESH_PX)])
    matrix = umeyama(corners, target)
    sampled = matrix.copy()  # OpenCV counts from pixel centres at 0
    sampled[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    crop = cv2.warpAffine(image.astype(np.float32) / 255, sampled, (_MESH_PX, _MESH_PX), flags=cv2.INTER_LINEAR)
    points = session.run(None, {"input_1": crop[None]})[0].reshape(-1, 3)[:, :2].astype(np.float64)
    return mapped(umeyama(target, corners), points)


@pytest.mark.footage
@pytest.mark.slow
@pytest.mark.parametrize("preset", ["demo", "lights"])
def test_yunet_and_facemesh_see_the_performers(shared_models: Path, preset: str) -> None:
    detector = cv2.FaceDetectorYN.create(str(shared_models / "yunet.onnx"), "", _SIZE, score_threshold=0.7)
    session = onnxruntime.InferenceSession(shared_models / "facemesh.onnx", providers=["CPUExecutionProvider"])
    stage = build(PRESETS[preset], width=_SIZE[0], height=_SIZE[1])
    first, last = stage.spec.frames
    errors = []
    for number in range(first, last + 1, 14):
        frame = stage.frame(number)
        for name, (face,) in (("plate", frame.faces), ("truth", frame.truth_faces)):
            image = _picture(frame, name)
            _, found = detector.detect(np.ascontiguousarray(image[..., ::-1]))
            assert found is not None
            assert len(found) == 1, f"frame {number} of {name}"
            five = face.five.points[:, :2]
            seen = _facemesh(session, image, five)
            error = np.linalg.norm(seen - face.mesh.points[:, :2], axis=1)[_MEASURED]
            errors.append(float(error.mean() / np.linalg.norm(five[1] - five[0])))
    assert float(np.mean(errors)) < 0.05, "of the distance between the eyes"
