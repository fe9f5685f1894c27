from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vfxswap.errors import ShapeError, UsageError
from vfxswap.geometry import REGIONS, Landmarks, Points, Region, Scheme
from vfxswap.ops.mesh import LEFT_EYE, MOUTH, RIGHT_EYE, SKIN, FaceMesh, face_mesh, head_axes, inside_polygon
from vfxswap.ops.meshmap import doubled_areas
from vfxswap.testing import face_landmarks

CROP = np.array([(256.0, 0.0, 0.0), (0.0, 256.0, 0.0)])
RIMS: tuple[Region, ...] = ("oval", "left_eye", "right_eye", "lips_inner")


def ibug(mesh: Landmarks) -> Landmarks:
    """The 68 points that lie beside some of the 468."""
    oval = [127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356]
    brows = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
    eyes = [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
    lips = [61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87]
    xy = mesh.points[:, :2]
    nose = [xy[168], xy[6], xy[195], xy[4], xy[98], xy[[98, 2]].mean(0), xy[2], xy[[2, 327]].mean(0), xy[327]]
    return Landmarks(np.concatenate([xy[oval], xy[brows], nose, xy[eyes], xy[lips]]), "ibug68")


@pytest.fixture(params=["mesh468", "ibug68"])
def face(request: pytest.FixtureRequest) -> Landmarks:
    mesh = face_landmarks(CROP)
    return mesh if request.param == "mesh468" else ibug(mesh)


def edges(mesh: FaceMesh) -> Counter[tuple[int, int]]:
    pairs = mesh.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    return Counter((int(min(a, b)), int(max(a, b))) for a, b in pairs)


def turned(points: Points, degrees: float) -> Points:
    """Turned about the vertical axis through the middle."""
    angle, middle = np.radians(degrees), points.mean(axis=0)
    turn = np.array([(np.cos(angle), 0, np.sin(angle)), (0, 1, 0), (-np.sin(angle), 0, np.cos(angle))])
    return np.asarray((points - middle) @ turn.T + middle)


def test_the_mesh_is_one_disc(face: Landmarks) -> None:
    mesh = face_mesh([face])
    found = edges(mesh)
    used = np.unique(mesh.triangles)
    assert set(found.values()) <= {1, 2}
    assert len(used) - len(found) + len(mesh.triangles) == 1
    ring = set(range(mesh.landmark_count, mesh.landmark_count + len(mesh.reach)))
    assert {i for pair, count in found.items() if count == 1 for i in pair} == ring


def test_outlines_are_edges(face: Landmarks) -> None:
    found = edges(face_mesh([face]))
    for name in RIMS:
        ring = REGIONS[face.scheme][name]
        for a, b in zip(ring, (*ring[1:], ring[0]), strict=True):
            assert (min(a, b), max(a, b)) in found, name


@pytest.mark.parametrize(("mouth_open", "eyes_open"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.05)])
def test_topology_has_openings_whatever_a_still_does(mouth_open: float, eyes_open: float) -> None:
    mesh = face_mesh([face_landmarks(CROP, mouth_open=mouth_open, eyes_open=eyes_open)])
    for part, region in ((LEFT_EYE, "left_eye"), (RIGHT_EYE, "right_eye"), (MOUTH, "lips_inner")):
        name: Region = region  # type: ignore[assignment]
        ring = set(REGIONS["mesh468"][name])
        inside = mesh.triangles[mesh.parts == part]
        assert ring <= set(inside.ravel().tolist())
        assert len(inside) >= len(ring) - 2


def test_skin_does_not_bridge_the_lips() -> None:
    mesh = face_mesh([ibug(face_landmarks(CROP, mouth_open=0.0))])
    inner = REGIONS["ibug68"]["lips_inner"]
    upper, lower = set(inner[1:4]), set(inner[5:])
    for triangle in mesh.triangles[mesh.parts == SKIN].tolist():
        assert not (upper & set(triangle) and lower & set(triangle))


def test_topology_is_a_function_of_the_stills() -> None:
    stills = [face_landmarks(CROP, mouth_open=amount) for amount in (0.1, 0.9)]
    one, two = face_mesh(stills), face_mesh(stills)
    assert np.array_equal(one.triangles, two.triangles)
    assert np.array_equal(one.parts, two.parts)


def test_the_most_frontal_still_decides() -> None:
    front = face_landmarks(CROP)
    aside = Landmarks(turned(front.points, 40), "mesh468")
    assert np.array_equal(face_mesh([aside, front]).triangles, face_mesh([front]).triangles)


def test_the_whole_frontal_face_faces_the_camera() -> None:
    face = ibug(face_landmarks(CROP, mouth_open=1.0))
    mesh = face_mesh([face])
    assert (doubled_areas(mesh.vertices(face.points), mesh.triangles) > 0).all()


def test_the_ring_lies_around_the_outline(face: Landmarks) -> None:
    mesh = face_mesh([face], margin=0.2)
    vertices = mesh.vertices(face.points)
    ring = vertices[mesh.landmark_count :]
    assert np.array_equal(vertices[: mesh.landmark_count, :2], face.points[:, :2])
    assert inside_polygon(face.region("oval"), ring[:, :2]).all()
    assert (mesh.inward[mesh.landmark_count :] == 0).all()
    assert mesh.inward.max() == 1


def test_a_forehead_is_reached_for_where_landmarks_end_at_the_brows() -> None:
    face = ibug(face_landmarks(CROP))
    ring = face_mesh([face], margin=0.1).vertices(face.points)[68:, :2]
    brows = face.region("oval")[17:]
    height = brows[:, 1].mean() - face.points[8, 1]
    assert (brows[:, 1] - ring[17:, 1] > -0.2 * height).all()
    # Straight up: the temples stay where they are, but for the margin.
    assert np.ptp(ring[17:, 0]) < 1.15 * np.ptp(brows[:, 0])


@pytest.mark.parametrize("schemes", [(), ("five",), ("mesh468", "ibug68")])
def test_other_landmarks_are_refused(schemes: tuple[Scheme, ...]) -> None:
    mesh = face_landmarks(CROP)
    made = {"five": Landmarks(mesh.five(), "five"), "mesh468": mesh, "ibug68": ibug(mesh)}
    with pytest.raises(UsageError, match="one dense numbering"):
        face_mesh([made[scheme] for scheme in schemes])


def test_points_of_no_face_are_refused() -> None:
    with pytest.raises(ShapeError, match="eyes and mouth apart"):
        face_mesh([Landmarks(np.zeros((468, 3)), "mesh468")])
    wild = face_landmarks(CROP).points.copy()
    wild[200] = np.nan
    with pytest.raises(ShapeError, match="those of a face"):
        face_mesh([Landmarks(wild, "mesh468")])


def test_head_axes_follow_the_head() -> None:
    front = face_landmarks(CROP)
    axes = head_axes(Landmarks(turned(front.points, 30), "mesh468"))
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.degrees(np.arccos(axes[2] @ head_axes(front)[2])) == pytest.approx(30, abs=1)


def test_inside_polygon_is_even_odd() -> None:
    square = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)])
    points = np.array([(2.0, 2.0), (5.0, 2.0), (-1.0, 2.0), (2.0, -1.0), (3.9, 3.9)])
    assert inside_polygon(points, square).tolist() == [True, False, False, False, True]


@pytest.mark.footage
def test_a_real_face_shape_gets_nearly_its_makers_mesh(shared: Path) -> None:
    lines = [line.split() for line in (shared / "models" / "canonical_face_model.obj").read_text().splitlines()]
    points = np.array([[float(v) for v in words[1:4]] for words in lines if words[:1] == ["v"]]) * (20, -20, -20)
    theirs = np.array([[int(v.split("/")[0]) - 1 for v in words[1:4]] for words in lines if words[:1] == ["f"]])
    face = Landmarks(points, "mesh468")
    mesh = face_mesh([face])
    ours = {pair for pair in edges(mesh) if max(pair) < 468}
    wanted = {tuple(sorted(map(int, pair))) for pair in theirs[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)}
    assert np.bincount(mesh.parts).tolist()[1:] == [14, 14, 18]
    assert len(ours & wanted) > 0.75 * len(wanted)
    assert (doubled_areas(mesh.vertices(points), mesh.triangles) < 0).mean() < 0.02
