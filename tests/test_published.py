"""Effects of measured landscapes against what was published of them."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import genoattn

DATA = Path(__file__).parents[2] / "shared" / "data"
pytestmark = [
    pytest.mark.validation,
    pytest.mark.skipif(not DATA.is_dir(), reason="the measured landscapes are not next to this checkout"),
]
# Phillips 2021: sites of the sequence, sites of the paper, and its order-4 coefficients in the 0/1 basis.
SEQUENCE = (28, 30, 58, 59, 62, 74, 75, 76, 77, 79, 104)
PAPER = (29, 35, 65, 66, 69, 82, 83, 84, 85, 87, 112)
PUBLISHED = {
    (29, 35): 0.9758,
    (85, 87): 1.0395,
    (29, 35, 83): -1.5356,
    (29, 35, 82): -1.0524,
    (29, 35, 85): -1.0067,
    (29, 85, 87): -0.8781,
}


def test_antibody_effects_are_the_published_coefficients():
    cohort = genoattn.read(DATA / "cr6261_h1.fasta.gz", DATA / "cr6261_h1.tsv", "neg_log10_kd")
    frame = genoattn.fit(cohort, order=4, gauge="reference", device="cpu").table.frame
    of_paper = dict(zip(SEQUENCE, PAPER, strict=True))
    found = {}
    for row in frame.to_dict("records"):
        sites = tuple(sorted(of_paper[int(row[f"pos_{k}"])] for k in range(1, row["order"] + 1)))
        found[sites] = row["effect"]
    for sites, coefficient in PUBLISHED.items():
        assert found[sites] == pytest.approx(coefficient, abs=5e-5)


def test_fluorescence_effects_are_the_walsh_transform():
    cohort = genoattn.read(DATA / "poelwijk_eqfp611.fasta.gz", DATA / "poelwijk_eqfp611.tsv", "brightness")
    frame = genoattn.fit(cohort, order=2, gauge="zero-sum", device="cpu").table.frame
    first = frame[(frame["order"] == 2) & (frame["state_1"] == "A") & (frame["state_2"] == "A")]
    found = first.set_index(["site_1", "site_2"])["effect"]
    y, sign = cohort.phenotype.values, 1.0 - 2 * (cohort.calls == 1)
    for a, b in combinations(range(13), 2):
        walsh = float(np.mean(y * sign[:, a] * sign[:, b]))
        assert found[cohort.sites.ids[a], cohort.sites.ids[b]] == pytest.approx(walsh, abs=1e-9)
    assert sorted(np.abs(found))[-3:] == pytest.approx([0.164, 0.188, 0.245], abs=5e-4)
