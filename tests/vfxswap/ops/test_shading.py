"""Light on an egg: what the harmonics find again, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vfxswap.ops.shading import fitted_light, harmonics, shown_at, vertex_normals

RNG = np.random.default_rng(4)


def normals(count: int = 400) -> np.ndarray:
    found = RNG.standard_normal((count, 3))
    found[:, 2] = np.abs(found[:, 2])
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def test_light_is_found_again() -> None:
    looking = normals()
    factors = np.zeros((9, 3))
    factors[0], factors[1], factors[3] = -0.8, 0.5, 0.3
    colours = np.exp(harmonics(looking) @ factors) - 0.02
    found = fitted_light(colours, looking, np.ones(len(looking)))
    shown = harmonics(looking) @ found[:, :3]
    assert np.abs(shown - harmonics(looking) @ factors).max() < 0.12


def test_spots_that_are_no_light_weigh_little() -> None:
    looking = normals()
    colours = np.tile(0.5 + 0.2 * looking[:, :1], (1, 3))
    spotted = colours.copy()
    spotted[::8] *= 0.2
    clean, found = (fitted_light(values, looking, np.ones(len(looking))) for values in (colours, spotted))
    assert np.abs(harmonics(looking) @ (found - clean)).max() < 0.1


def test_normals_of_a_plane_look_at_the_camera() -> None:
    square = np.array([(0.0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
    triangles = np.array([(0, 1, 2), (0, 2, 3)])
    np.testing.assert_allclose(vertex_normals(square, triangles), [(0, 0, 1)] * 4)


def test_colours_are_read_at_their_places() -> None:
    ramp = torch.linspace(0, 1, 64).expand(3, 48, 64)
    points = np.array([(16.0, 24.0), (48.0, 10.0), (70.0, 10.0)])
    colours, inside = shown_at(ramp, points, cell_px=4.0)
    assert colours[0, 0] == pytest.approx(0.25, abs=0.02)
    assert colours[1, 2] == pytest.approx(0.75, abs=0.02)
    assert inside.tolist() == [True, True, False]
