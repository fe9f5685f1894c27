"""CIEDE2000 against the published pairs; L*a*b* against known colours."""

from __future__ import annotations

import pytest
import torch

from vfxswap.score.color_difference import ciede2000, lab

# G. Sharma, W. Wu, E. N. Dalal, 2005, table 1: L* a* b* of two colours, and their difference.
PAIRS = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
ROWS = [tuple(map(float, line.split())) for line in PAIRS.strip().splitlines()]


def _difference(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    return float(ciede2000(torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64)))


def test_all_published_pairs_are_there() -> None:
    assert len(ROWS) == 34


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[:6]}")
def test_a_published_pair_has_its_difference(row: tuple[float, ...]) -> None:
    assert _difference(row[:3], row[3:6]) == pytest.approx(row[6], abs=5.1e-5)


@pytest.mark.parametrize("row", [row for row in ROWS if row[1:3] != (-row[4], -row[5])], ids=lambda row: f"{row[:6]}")
def test_the_difference_is_symmetric(row: tuple[float, ...]) -> None:
    # Left out: hues exactly opposite, where the formula itself takes sides by rounding.
    assert _difference(row[3:6], row[:3]) == pytest.approx(_difference(row[:3], row[3:6]), abs=1e-9)


def test_pictures_are_compared_pixel_by_pixel() -> None:
    first = torch.tensor([row[:3] for row in ROWS], dtype=torch.float64).T.reshape(3, 2, 17)
    second = torch.tensor([row[3:6] for row in ROWS], dtype=torch.float64).T.reshape(3, 2, 17)
    found = ciede2000(first, second)
    assert found.shape == (2, 17)
    assert found.flatten().tolist() == pytest.approx([row[6] for row in ROWS], abs=5.1e-5)


def test_equal_colours_do_not_differ() -> None:
    colours = torch.rand(3, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 100 - 50
    assert float(ciede2000(colours, colours).max()) == 0


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((1.0, 1.0, 1.0), (100.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (53.24, 80.09, 67.20)),
        ((0.0, 1.0, 0.0), (87.73, -86.18, 83.18)),
        ((0.0, 0.0, 1.0), (32.30, 79.19, -107.86)),
    ],
)
def test_srgb_primaries_have_their_known_lab(rgb: tuple[float, ...], expected: tuple[float, ...]) -> None:
    found = lab(torch.tensor(rgb).reshape(3, 1, 1)).flatten().tolist()
    assert found == pytest.approx(expected, abs=0.05)
