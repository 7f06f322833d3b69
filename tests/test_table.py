"""The interaction table: what is written is read, and what is read predicts as the network does."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_cohorts import levels_of, planted, short_fit

import genoattn
from genoattn.cohort import Cohort, Covariates, Sites
from genoattn.errors import InputError
from genoattn.fitting.store import load_model, save_table
from genoattn.interactions.schema import manifest_from_json, table_columns
from genoattn.interactions.table import load_interactions

GAUGES = ("reference", "zero-sum", "frequency")
TEXT = ("site", "chrom", "ref", "state")


def slow_prediction(table, calls, covariates):
    """Sum over the rows, sample by sample, from what the rows and the manifest say (schema version 1).

    A dosage row multiplies the product of (dosage - centre), a state row that of the indicators; a missing
    call counts as the training mean dosage, or as the training frequency of the state.
    """
    manifest, v = table.manifest, table.manifest.vocabulary
    place = {name: k for k, name in enumerate(manifest.sites.ids)}
    out = covariates @ manifest.covariate_coefficients
    for row in table.frame.to_dict("records"):
        for i in range(len(calls)):
            product = 1.0
            for k in range(1, row["order"] + 1):
                site = place[row[f"site_{k}"]]
                call, own = calls[i, site], np.flatnonzero(v.site == site)
                if v.is_dosage:
                    product *= (v.mean[own[0]] if call < 0 else call) - manifest.centre[own[0]]
                else:
                    state = manifest.sites.states[site].index(row[f"state_{k}"])
                    product *= v.mean[own[state]] if call < 0 else float(call == state)
            out[i] += row["coefficient"] * product
    return out


@pytest.fixture(scope="module", params=["dosage", "genotype", "sequence", "binary"])
def fitted(request, tmp_path_factory):
    """A cohort with missing calls and mixed covariates, its exact fit, and the folder it was saved in."""
    kind = "sequence" if request.param == "sequence" else "genotype"
    encoding = "dosage" if request.param == "binary" else request.param
    cohort = planted(
        70, 5, kind=kind, binary=request.param == "binary", missing=0.1, covariates="mixed", seed=4
    )
    result = short_fit(cohort, encoding=encoding, order=3, precision=64, estimator="attention", rank=3)
    out = tmp_path_factory.mktemp("fit") / "out"
    result.save(out)
    return cohort, result, out


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An additive and pairwise dosage model in single precision."""
    cohort = planted(60, 6, seed=5)
    result = short_fit(cohort)
    out = tmp_path_factory.mktemp("fit") / "out"
    result.save(out)
    return cohort, result, out


# --- the files


def test_both_formats_load_to_the_frame_that_was_saved(fitted):
    _, result, out = fitted
    tsv, parquet = (load_interactions(out / f"interactions.{kind}") for kind in ("tsv", "parquet"))
    pd.testing.assert_frame_equal(parquet.frame, result.table.frame, check_exact=True)
    pd.testing.assert_frame_equal(tsv.frame, parquet.frame, rtol=1e-11, atol=0)
    assert tsv.manifest.to_json() == parquet.manifest.to_json() == result.manifest.to_json()
    pd.testing.assert_frame_equal(load_interactions(out).frame, parquet.frame, check_exact=True)


def test_plain_pandas_reads_both(fitted):
    _, result, out = fitted
    for frame in (
        pd.read_csv(out / "interactions.tsv", sep="\t"),
        pd.read_parquet(out / "interactions.parquet"),
    ):
        assert frame.columns.tolist() == table_columns(3)
        assert len(frame) == len(result.table)
        np.testing.assert_allclose(frame["coefficient"], result.table.frame["coefficient"], rtol=1e-11)
        assert frame.loc[frame["order"] < 3, "pos_3"].isna().all()
        assert (frame.loc[frame["order"] == 3, "pos_3"] > 0).all()


def test_unused_cells_are_empty(fitted):
    frame = load_interactions(fitted[2] / "interactions.tsv").frame
    for k in (1, 2, 3):
        unused = frame["order"] < k
        assert unused.any()
        for name in TEXT:
            assert (frame.loc[unused, f"{name}_{k}"] == "").all()
        assert (frame.loc[~unused, f"site_{k}"] != "").all()


def test_rows_are_sorted_by_p_then_size(fitted):
    for gauge in GAUGES:
        frame = fitted[1].export(gauge).frame
        key = list(zip(frame["p_value"].fillna(2), -frame["coefficient"].abs(), strict=True))
        assert key == sorted(key)


def test_names_that_look_like_something_else_survive(tmp_path):
    cohort = planted(60, 6, kind="sequence", seed=3)
    names = np.array(["NA", "nan", "007", "1e5", 'say "x"', "é"], dtype=object)
    states = (("A", "NA", "None"), ("null", "-", "*"), *cohort.sites.states[2:])
    sites = Sites(names, ["NA"] * 6, np.arange(1, 7), ["A"] * 6, [""] * 6, states)
    cohort = Cohort(cohort.samples, sites, cohort.calls, "sequence", cohort.phenotype)
    result = short_fit(cohort, estimator="attention", rank=2, precision=64)
    save_table(result.table, tmp_path / "table.tsv")
    result.save(tmp_path / "out")
    for path in (tmp_path / "table.tsv", tmp_path / "out"):
        table = load_interactions(path)
        pd.testing.assert_frame_equal(table.frame, result.table.frame, rtol=1e-11, atol=0)
        assert {"NA", "None", "null"} <= set(table.frame["state_1"])
        assert set(table.frame["site_1"]) | set(table.frame["site_2"]) == {*names, ""}
        np.testing.assert_allclose(table.predict(cohort), result.predict(cohort), rtol=1e-9, atol=1e-9)
    assert load_model(tmp_path / "out").manifest.sites.states[0] == ("A", "NA", "None")


def test_parquet_holds_its_manifest(fitted):
    metadata = pq.read_schema(fitted[2] / "interactions.parquet").metadata
    assert json.loads(metadata[b"genoattn"]) == json.loads((fitted[2] / "manifest.json").read_text())


def test_manifest_there_and_back(fitted):
    manifest = fitted[1].manifest
    again = manifest_from_json(manifest.to_json())
    assert again.to_json() == manifest.to_json()
    np.testing.assert_array_equal(again.centre, manifest.centre)
    for name in ("site", "state", "mean", "variance", "n_states", "reference"):
        np.testing.assert_array_equal(getattr(again.vocabulary, name), getattr(manifest.vocabulary, name))
    assert again.covariate_levels == {"batch": ("a", "b", "c")}
    assert again.units == ("log-odds" if again.binary else "units of trait")


# --- predictions


@pytest.mark.parametrize("gauge", GAUGES)
def test_loaded_table_is_the_network_and_its_definition(fitted, tmp_path, gauge):
    cohort, result, out = fitted
    expected = result.predict(cohort)
    size = np.abs(expected).max()
    save_table(load_model(out).export(gauge), tmp_path / "t.tsv")
    save_table(load_model(out).export(gauge), tmp_path / "t.parquet")
    for name, tolerance in (("t.tsv", 1e-9), ("t.parquet", 1e-12)):
        table = load_interactions(tmp_path / name)
        assert table.manifest.gauge == gauge
        assert table.manifest.complete
        np.testing.assert_allclose(table.predict(cohort), expected, rtol=0, atol=tolerance * size)
    slow = slow_prediction(table, cohort.calls[:9], cohort.covariates.values[:9])
    np.testing.assert_allclose(slow, expected[:9], rtol=0, atol=1e-12 * size)


def test_single_precision_network_within_its_rounding(small):
    cohort, result, out = small
    expected = result.predict(cohort)
    found = load_interactions(out).predict(cohort)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_table_without_all_terms_says_so(fitted, caplog):
    cohort, result, _ = fitted
    result.table.predict(cohort)
    assert not caplog.records
    result.export("frequency", 1).predict(cohort)
    assert "its predictions are not the model's" in caplog.text


def with_covariates(cohort, labels, levels, age):
    """The cohort with covariates expanded on its own terms, the categorical one first."""
    batch = levels_of(labels, levels)
    values = np.hstack([batch.values, age[:, None]])
    return Cohort(
        cohort.samples, cohort.sites, cohort.calls, cohort.kind, cohort.phenotype,
        Covariates((*batch.names, "age"), values, batch.levels),
    )  # fmt: skip


@pytest.mark.parametrize("levels", ["abc", "cab", "ba", "c"])
def test_new_cohort_with_other_levels(fitted, levels):
    cohort, result, out = fitted
    age = cohort.covariates.values[:, 0]
    old = ["b" if b else "c" if c else "a" for b, c in cohort.covariates.values[:, 1:]]
    chosen = np.flatnonzero([label in levels for label in old])
    new = with_covariates(cohort.select_samples(chosen), [old[i] for i in chosen], levels, age[chosen])
    expected = result.predict(cohort)[chosen]
    assert len(chosen) > 3
    np.testing.assert_allclose(result.predict(new), expected, rtol=1e-12)
    np.testing.assert_allclose(load_interactions(out).predict(new), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(load_model(out).predict(new), expected, rtol=1e-12)


def test_predict_matches_sites_by_name_not_place(fitted):
    cohort, result, out = fitted
    shuffled = cohort.select_sites(np.arange(cohort.n_sites)[::-1])
    np.testing.assert_allclose(
        load_interactions(out).predict(shuffled), result.predict(cohort), rtol=1e-9, atol=1e-9
    )
    fewer = cohort.select_sites(np.arange(3))
    with pytest.raises(
        InputError, match=r"2 of the model's 5 sites are not there|no column 4, which the model"
    ):
        load_interactions(out).predict(fewer)


def test_a_cut_table_predicts_its_rows_and_says_so(small):
    cohort, result, _ = small
    cut = result.table.head(4)
    assert not cut.manifest.complete
    found = cut.predict(cohort)
    np.testing.assert_allclose(found, slow_prediction(cut, cohort.calls, np.zeros((60, 0))), rtol=1e-10)
    assert np.abs(found - result.predict(cohort)).max() > 1e-3


# --- looking at a table


def test_head_counts_what_it_leaves_out(small):
    table = small[1].table
    n = len(table)
    head = table.head(3)
    assert (len(head), len(table)) == (3, n)
    orders = table.frame["order"].iloc[3:].value_counts().to_dict()
    assert head.manifest.left_out == orders
    assert sum(head.head(1).manifest.left_out.values()) == n - 1  # a cut of a cut
    assert table.manifest.left_out == {}
    assert table.head(None) is table
    assert table.head(n) is table


def test_a_cut_table_still_says_so_when_read_back(small, tmp_path):
    for name in ("t.tsv", "t.parquet"):
        save_table(small[1].table.head(2), tmp_path / name)
        table = load_interactions(tmp_path / name)
        assert len(table) == 2
        assert table.manifest.left_out == small[1].table.head(2).manifest.left_out


def test_export_of_fewer_orders(fitted):
    result = fitted[1]
    pairs = result.export("frequency", 2)
    assert pairs.manifest.order == 2
    assert pairs.frame.columns.tolist() == table_columns(2)
    n_triples = int((result.table.frame["order"] == 3).sum())
    assert pairs.manifest.left_out == {3: n_triples}
    assert not pairs.manifest.complete
    assert result.export("reference").manifest.complete
    with pytest.raises(InputError, match="order 4, but the model has orders up to 3; ask for at most that"):
        result.export("frequency", 4)
    with pytest.raises(
        InputError, match="gauge 'hadamard' is unknown; choose one of reference, zero-sum, freq"
    ):
        result.export("hadamard")


def test_leaving_out_an_order_without_terms_leaves_the_table_complete():
    result = short_fit(planted(60, 5, effect=0.0, seed=8), estimator="sparse", penalty=1e3)
    assert not result.table.frame.loc[result.table.frame["order"] == 2, "coefficient"].any()
    additive = result.export("frequency", 1)
    assert additive.manifest.complete


def test_top_by_order_and_linkage(small):
    table = small[1].table
    assert (table.top(100)["order"] >= 2).all()
    assert len(table.top(2)) == 2
    assert (table.top(3, order=1)["order"] == 1).all()
    assert len(table.top(3, order=1)) == 3
    linked = table.frame["flag"].str.split(";").map(lambda flags: "linked" in flags)
    pairs = table.frame["order"] == 2
    assert len(table.top(100, order=2, unlinked=True)) == (pairs & ~linked).sum()
    assert table.top(1, order=2)["site_1"].item() + table.top(1, order=2)["site_2"].item() == "rs1rs2"


def test_linked_pairs_are_flagged_and_left_out_of_the_unlinked():
    cohort = planted(80, 4, seed=1)
    calls = cohort.calls.copy()
    calls[:, 3] = calls[:, 0]
    calls[:8, 3] = 2 - calls[:8, 3]
    linked = Cohort(cohort.samples, cohort.sites, calls, phenotype=cohort.phenotype)
    table = short_fit(linked, estimator="attention", rank=2).table
    flags = {(r.site_1, r.site_2): r.flag for r in table.top(99, order=2).itertuples()}
    assert len(flags) == 6
    assert {pair for pair, flag in flags.items() if "linked" in flag} == {("rs1", "rs4")}
    assert len(table.top(99, order=2, unlinked=True)) == 5


def test_summary_says_what_the_table_is(small):
    text = small[1].table.summary(2)
    first = "trait, frequency gauge, dosage encoding, order 2, 6 sites, coefficients in units of trait"
    assert text.splitlines()[0] == f"Interaction table: {first}"
    assert "order 1: 6 contrasts, " in text
    assert "(6 rows of 6 possible)" in text
    n = int((small[1].table.frame["order"] == 2).sum())
    assert f"order 2: {n} contrasts, " in text
    assert f"({n} rows of 15 possible)" in text
    assert "rs1[G] (1:100) x rs2[G] (2:200)" in text
    assert repr(small[1].table) == small[1].table.summary(5)


def test_genoattn_has_it_all_at_the_top():
    assert genoattn.load_interactions is load_interactions
    assert {"read", "fit", "load_interactions", "InteractionTable", "InputError"} <= set(dir(genoattn))
    with pytest.raises(AttributeError, match="module 'genoattn' has no attribute 'epistasis'"):
        _ = genoattn.epistasis


# --- what is no table


def test_nothing_there(tmp_path):
    with pytest.raises(
        InputError, match=r"missing\.tsv: no such file; give the output folder of genoattn fit, or"
    ):
        load_interactions(tmp_path / "missing.tsv")
    with pytest.raises(InputError, match=r"interactions\.parquet: no such file; give the output folder"):
        load_interactions(tmp_path)


def test_tsv_without_its_manifest(small, tmp_path):
    shutil.copy(small[2] / "interactions.tsv", tmp_path / "mine.tsv")
    shutil.copy(
        small[2] / "manifest.json", tmp_path / "manifest.json"
    )  # that of interactions.tsv, not of mine
    message = (
        r"mine\.tsv: not an interaction table of genoattn \(ValueError: no mine\.manifest\.json next to it\)"
    )
    with pytest.raises(InputError, match=rf"{message}; write it again with genoattn fit or export"):
        load_interactions(tmp_path / "mine.tsv")


def test_foreign_tables(small, tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(
        InputError, match=r"foreign\.parquet: not an interaction table .*no genoattn metadata"
    ):
        load_interactions(tmp_path / "foreign.parquet")
    (tmp_path / "text.parquet").write_text("order\tsite_1\n")
    with pytest.raises(
        InputError, match=r"text\.parquet: not an interaction table of genoattn \(ArrowInvalid: "
    ):
        load_interactions(tmp_path / "text.parquet")
    content = (small[2] / "interactions.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(
        InputError, match=r"cut\.parquet: not an interaction table of genoattn \(ArrowInvalid: "
    ):
        load_interactions(tmp_path / "cut.parquet")


@pytest.mark.parametrize(
    ("table", "manifest", "message"),
    [
        ("order\tsite_1\n1\tx\n", None, r"ValueError: no column chrom_1"),
        ("", None, "EmptyDataError"),
        (None, "[]", "AttributeError"),
        (None, "{}", "ValueError: schema version None"),
        (None, '{"schema_version": 1}', "KeyError: 'sites'"),
        (None, "not json", "JSONDecodeError"),
    ],
)
def test_damaged_tsv_or_manifest(small, tmp_path, table, manifest, message):
    save_table(small[1].table, tmp_path / "t.tsv")
    if table is not None:
        (tmp_path / "t.tsv").write_text(table)
    if manifest is not None:
        (tmp_path / "t.manifest.json").write_text(manifest)
    with pytest.raises(
        InputError, match=rf"t\.tsv: not an interaction table of genoattn \({message}"
    ) as caught:
        load_interactions(tmp_path / "t.tsv")
    assert "\n" not in str(caught.value)


def test_words_where_a_number_belongs(small, tmp_path):
    save_table(small[1].table, tmp_path / "t.tsv")
    frame = pd.read_csv(tmp_path / "t.tsv", sep="\t", dtype=str, keep_default_na=False)
    frame.loc[0, "coefficient"] = "0,5"
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    with pytest.raises(
        InputError, match=r"t\.tsv: not an interaction table of genoattn \(ValueError: .*'0,5'"
    ):
        load_interactions(tmp_path / "t.tsv")
