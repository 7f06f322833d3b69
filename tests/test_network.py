"""Interactions as a matrix and as a network."""

import networkx as nx
import numpy as np
import pytest
from small_cohorts import planted, short_fit

import genoattn
from genoattn.errors import InputError


@pytest.fixture(scope="module")
def sequences():
    return genoattn.scan_pairs(planted(120, 4, kind="sequence", seed=1), threshold=1).table


def test_matrix_has_every_row_twice(sequences):
    matrix = sequences.matrix(by="token")
    rows = sequences.frame
    assert matrix.equals(matrix.T)
    assert matrix.notna().to_numpy().sum() == 2 * len(rows)
    for row in rows.head(5).to_dict("records"):
        names = [f"{row[f'site_{k}']}[{row[f'state_{k}']}]" for k in (1, 2)]
        assert matrix.loc[names[0], names[1]] == row["effect"]
    assert list(dict.fromkeys(name[:2] for name in matrix.index)) == ["A1", "A2", "A3", "A4"]


def test_matrix_of_sites_has_the_value_farthest_from_zero(sequences):
    matrix = sequences.matrix(value="statistic")
    rows = sequences.frame
    own = rows[(rows["site_1"] == "A2") & (rows["site_2"] == "A4")]["statistic"]
    assert matrix.loc["A4", "A2"] == own[own.abs().idxmax()]
    assert np.isnan(matrix.loc["A1", "A1"])


def test_what_is_no_matrix_is_refused(sequences):
    with pytest.raises(InputError, match=r"order is 3, and a matrix is of pairs; use order 2, or to_network"):
        sequences.matrix(3)
    with pytest.raises(InputError, match=r"no column of numbers 'flag' in the table; .*coefficient"):
        sequences.matrix(value="flag")
    with pytest.raises(InputError, match="by is 'pair'; choose site or token"):
        sequences.matrix(by="pair")
    with pytest.raises(InputError, match="by is 'pair'; choose site or token"):
        sequences.to_network("pair")


def test_a_matrix_that_would_fill_the_memory_is_refused(sequences, monkeypatch):
    monkeypatch.setattr("genoattn.interactions.matrices.MOST_LABELS", 3)
    with pytest.raises(InputError, match="the pairs have 4 sites, more than the 3 of a matrix; take"):
        sequences.matrix()


def test_network_is_written_as_graphml_and_read_the_same(tmp_path):
    cohort = planted(80, 5, seed=2)
    table = short_fit(cohort, order=3, estimator="attention", rank=3).table
    graph = table.to_network()
    nx.write_graphml(graph, tmp_path / "network.graphml")
    read = nx.read_graphml(tmp_path / "network.graphml")
    assert dict(read.nodes(data=True)) == dict(graph.nodes(data=True))
    assert dict(read.adj) == dict(graph.adj)
    assert read.graph["trait"] == "trait"
    pairs = table.frame[table.frame["order"] == 2]
    row = pairs.iloc[0]
    edge = read.edges[row["site_1"], row["site_2"]]
    assert edge["coefficient"] == row["coefficient"]
    assert (edge["state_1"], edge["site_1"]) == (row["state_1"], row["site_1"])
    node = read.nodes[row["site_1"]]
    assert (node["chrom"], node["pos"]) == (row["chrom_1"], row["pos_1"])
    terms = [name for name, kind in read.nodes(data="kind") if kind == "term"]
    assert len(terms) == (table.frame["order"] == 3).sum() > 0
    assert all(read.degree[name] == 3 for name in terms)
    assert read.number_of_edges() == len(pairs) + 3 * len(terms)


def test_values_that_are_empty_are_absent(sequences):
    frame = sequences.frame.assign(effect=np.nan)
    graph = type(sequences)(frame, sequences.manifest).to_network("token")
    assert not any("effect" in values for _, _, values in graph.edges(data=True))
    assert graph.number_of_edges() == len(frame)


def test_several_states_of_two_sites_are_one_edge_of_the_first_row(sequences):
    graph = sequences.to_network()
    first = sequences.frame.iloc[0]
    edge = graph.edges[first["site_1"], first["site_2"]]
    rows = sequences.frame
    same = (rows["site_1"] == first["site_1"]) & (rows["site_2"] == first["site_2"])
    assert edge["p_value"] == first["p_value"]
    assert edge["n_terms"] == same.sum() > 1
