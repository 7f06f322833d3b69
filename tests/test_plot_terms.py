"""Figures of terms: what is drawn are the values of the table and of the samples."""

from dataclasses import replace
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from small_cohorts import planted, short_fit

import genoattn
from genoattn import plot
from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable
from genoattn.plot.figure_style import BLUE, VERMILLION, short_names, shorten
from genoattn.plot.genome_plots import spread


@pytest.fixture(scope="module")
def cohort():
    return planted(200, 6, seed=1)


@pytest.fixture(scope="module")
def table(cohort):
    return genoattn.scan_pairs(cohort, threshold=1).table


def of_ids(cohort, ids):
    return replace(cohort, sites=replace(cohort.sites, ids=ids))


def labels(ticks):
    return [text.get_text() for text in ticks]


def test_names_are_cut_in_their_middle_and_stay_apart():
    assert shorten("short", 10) == "short"
    assert shorten("abcdefghijklmnop", 9) == "abcd…mnop"
    names = [f"chr22_a_long_name_{k:03d}_of_a_variant" for k in range(300)]
    short = short_names(names, 16)
    assert len(set(short)) == 300
    assert max(map(len, short)) <= 16
    assert "017" in short[17]
    assert short_names(["same", "same"], 3) == ["s…e", "s…e"]


def test_text_is_no_formula_and_no_line_break():
    assert shorten("a$b$\nc") == r"a\$b\$ c"
    assert shorten("שלום").strip("\u200e") == "שלום"


def test_places_are_spread_in_their_order_within_limits():
    found = spread(np.array([5.0, 5.0, 0.0, 5.1]), 1, 0, 6)
    assert (np.diff(found[[2, 0, 1, 3]]) >= 1 - 1e-9).all()
    assert 0 <= found.min() <= found.max() <= 6
    assert spread(np.array([1.0, 4.0]), 1, 0, 6).tolist() == [1, 4]


def test_interaction_draws_means_of_every_joint_state(cohort, table):
    ax = plot.interaction(table, ("rs2", "rs1"), cohort)
    first, second = (str(table.frame.iloc[0][f"site_{k}"]) for k in (1, 2))
    assert {first, second} == {"rs1", "rs2"}
    y, calls = cohort.phenotype.values, cohort.calls
    for copies in range(3):
        drawn = ax.containers[copies].lines[0].get_ydata()
        expected = [y[(calls[:, 0] == c) & (calls[:, 1] == copies)] for c in range(3)]
        assert drawn == pytest.approx([v.mean() for v in expected if len(v)])
    assert sum(len(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection)) == 200
    assert f"n = {int(((calls[:, 0] == 0) & (calls[:, 1] == 0)).sum())}" in labels(ax.texts)
    assert (ax.get_xlabel(), ax.get_legend().get_title().get_text()) == ("rs1", "rs2")
    assert ax.get_title(loc="right") == "200 samples"


def test_interaction_says_who_is_left_out():
    cohort = planted(150, 3, seed=1, missing=0.1)
    table = genoattn.scan_pairs(cohort, threshold=1).table
    n = int((cohort.calls[:, :2] < 0).any(axis=1).sum())
    title = plot.interaction(table, ("rs1", "rs2"), cohort).get_title(loc="right")
    assert title == f"{150 - n} samples, {n} without a call left out"


def test_higher_terms_have_a_row_a_joint_state(cohort):
    triples = genoattn.scan_triples(planted(300, 4, seed=2), threshold=1).table
    ax = plot.interaction(triples, 0, planted(300, 4, seed=2))
    n = len(ax.get_yticks())
    assert n > 9
    row = triples.frame.iloc[0]
    assert ax.get_ylabel() == "\n".join(row[f"site_{k}"] for k in (1, 2, 3))
    small = plot.interaction(triples, 0, planted(300, 4, seed=2), ax=plot.figure(1, 40).add_subplot())
    assert len(small.get_yticks()) < n
    assert f"{len(small.get_yticks())} of {n} joint states" in small.get_title(loc="right")


def test_terms_that_are_not_there_are_refused(cohort, table):
    with pytest.raises(InputError, match="row 900 of 15; give a number below, or the IDs"):
        plot.interaction(table, 900, cohort)
    with pytest.raises(InputError, match="no row of the sites rs1 and rs9 in the table"):
        plot.interaction(table, ("rs1", "rs9"), cohort)
    with pytest.raises(InputError, match="no row of the sites rs1 and rs2 and rs3 in the table"):
        plot.interaction(table, ("rs1", "rs2", "rs3"), cohort)


def test_terms_draws_effects_with_intervals(table):
    ax = plot.terms(table, 5)
    rows = table.frame.head(5)
    drawn = sorted(x for c in ax.containers for x in c.lines[0].get_xdata())
    assert drawn == pytest.approx(sorted(rows["effect"]))
    bars = [bar for c in ax.containers for bar in c.lines[2][0].get_segments()]
    assert sorted(bar[1, 0] - bar[0, 0] for bar in bars) == pytest.approx(sorted(2 * 1.96 * rows["se"]))
    assert labels(ax.get_yticklabels())[0] == "rs1[G] × rs2[G]"
    assert ax.get_xlabel() == "effect (units of trait)\nfirst 5 of 15 tested terms"


def test_terms_need_a_test(table):
    frame = table.frame.assign(effect=np.nan)
    with pytest.raises(InputError, match="no such term of the table is tested"):
        plot.terms(InteractionTable(frame, table.manifest))


def test_long_names_have_their_own_lines_inside_the_figure(cohort):
    ids = [f"a_very_long_name_of_a_structural_variant_number_{k}_on_a_contig" for k in range(6)]
    ax = plot.terms(genoattn.scan_pairs(of_ids(cohort, ids), threshold=1).table, 15)
    assert all("\n× " in text for text in labels(ax.get_yticklabels()))
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert min(box.x0 for box in boxes) >= 0
    tops = sorted((box.y0, box.y1) for box in boxes)
    assert all(above[0] >= below[1] for below, above in pairwise(tops))


def test_heatmap_is_the_matrix_below_its_diagonal(table):
    ax = plot.heatmap(table)
    matrix = table.matrix()
    image = ax.images[-1].get_array()
    assert labels(ax.get_yticklabels()) == list(matrix.index[1:])
    assert labels(ax.get_xticklabels()) == list(matrix.index[:-1])
    assert image[3, 2] == matrix.iloc[4, 2]
    assert np.isnan(image.filled(np.nan)[0, 1])


def test_heatmap_of_many_sites_says_what_is_left_out():
    rng = np.random.default_rng(1)
    genotypes = rng.binomial(2, 0.4, size=(120, 70))
    cohort = genoattn.Cohort.from_arrays(genotypes, phenotype=rng.normal(size=120))
    ax = plot.heatmap(genoattn.scan_pairs(cohort, threshold=1).table)
    assert ax.images[-1].get_array().shape == (59, 59)
    assert "60 sites of the strongest pairs, of 70" in ax.get_title(loc="right")
    with pytest.raises(InputError, match="the table has no pairs; give one of order 2"):
        plot.heatmap(short_fit(planted(60, 3), order=1).table)
    with pytest.raises(InputError, match="no pair of the table has a coefficient_sd; choose another column"):
        plot.heatmap(genoattn.scan_pairs(cohort, threshold=1).table, "coefficient_sd")


def test_arcs_join_the_places_of_pairs(table):
    ax = plot.arcs(table, 4)
    lines = next(c for c in ax.collections if isinstance(c, LineCollection))
    rows = table.frame.head(4)
    # Drawn from the last to the first; every site is on a chromosome of its own of 100, 200, .. bases.
    first = lines.get_segments()[-1]
    gap = 0.01 * 100 * 21
    assert [first[0, 0], first[-1, 0]] == pytest.approx([100, 100 + gap + 200])
    assert [to_hex(c).upper() for c in lines.get_colors()][::-1] == [
        VERMILLION if e > 0 else BLUE for e in rows["effect"]
    ]
    assert ax.get_title(loc="right") == "first 4 of 15 pairs"


def test_arcs_of_signals_are_coloured_by_claims(table):
    rows = table.frame.head(2)[[f"{n}_{k}" for k in (1, 2) for n in ("site", "chrom", "pos")]]
    ax = plot.arcs(rows.assign(q_value=[0.01, 0.6]), sites=table.manifest.sites)
    lines = next(c for c in ax.collections if isinstance(c, LineCollection))
    assert to_hex(lines.get_colors()[-1]).upper() == BLUE
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["claimed, q < 0.05", "not claimed"]
    with pytest.raises(InputError, match="there are no pairs; give a table of order 2"):
        plot.arcs(rows.head(0))


def test_circos_draws_a_line_a_pair(table):
    ax = plot.circos(table, 5)
    assert ax.name == "polar"
    drawn = [to_hex(c).upper() for c in ax.collections[0].get_edgecolor()]
    # The strongest is drawn last, on top.
    assert drawn[::-1] == [VERMILLION if e > 0 else BLUE for e in table.frame["effect"].head(5)]
    assert "first 5 of 15 pairs" in labels(ax.texts)


def test_the_style_ends_with_the_figure(table):
    before = dict(matplotlib.rcParams)
    plot.terms(table)
    assert dict(matplotlib.rcParams) == before


def test_ten_thousand_terms_are_limited(table):
    frame = table.frame.loc[np.repeat(table.frame.index, 700)].reset_index(drop=True)
    many = InteractionTable(frame, table.manifest)
    assert len(plot.terms(many, 500).get_yticks()) == 60
    lines = next(c for c in plot.arcs(many).collections if isinstance(c, LineCollection))
    assert len(lines.get_segments()) == 100


def test_wrong_arguments_are_told():
    table = genoattn.scan_pairs(planted(150, 12, seed=1), threshold=0.5).table
    with pytest.raises(InputError, match="n is 0; give a number of terms from 1 up"):
        plot.terms(table, 0)
    with pytest.raises(InputError, match="a circle needs polar Axes"):
        plot.circos(table, ax=plot.figure().add_subplot())
    with pytest.raises(InputError, match="InteractionTable has no fit to draw; give a FitResult"):
        plot.variance(table)
