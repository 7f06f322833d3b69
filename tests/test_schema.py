"""One row, one quantity: schema 2, what it reads of schema 1, and what it says of a row."""

import json
import logging

import numpy as np
import oracles
import pandas as pd
import pytest
from small_cohorts import planted, short_fit

import genoattn
from genoattn.errors import InputError
from genoattn.interactions.extract import repeats, with_flag
from genoattn.interactions.schema import describe_row, estimand, table_columns
from genoattn.interactions.table import has_flag, load_interactions

GAUGES = ("reference", "zero-sum", "frequency")


def two_state_landscape(seed=0, n_samples=300, n_sites=5):
    rng = np.random.default_rng(seed)
    calls = oracles.random_calls(rng, n_samples, (2,) * n_sites)
    y = calls[:, 0] - 0.5 * calls[:, 1] + 1.5 * calls[:, 0] * calls[:, 2] + 0.5 * rng.normal(size=n_samples)
    return oracles.make_cohort(calls, (2,) * n_sites, "sequence", y)


@pytest.fixture(scope="module", params=["dosage", "genotype", "sequence", "two states"])
def result(request):
    if request.param == "two states":
        return genoattn.fit(two_state_landscape(), order=2, device="cpu")
    kind = "sequence" if request.param == "sequence" else "genotype"
    return short_fit(planted(150, 5, kind=kind, seed=4), encoding=request.param, order=2, refit=True)


@pytest.mark.parametrize("gauge", GAUGES)
def test_the_statistic_is_effect_over_its_standard_error(result, gauge):
    frame = result.export(gauge).frame
    tested = frame["p_value"].notna()
    assert tested.sum() > 5
    for name in ("effect", "se", "statistic"):
        assert (frame[name].notna() == tested).all()
    assert (frame["variance_explained"].notna() == (tested & (frame["order"] > 0))).all()
    np.testing.assert_allclose(frame["statistic"], frame["effect"] / frame["se"], rtol=1e-12)
    assert ((frame["variance_explained"].dropna() >= 0) & (frame["variance_explained"].dropna() <= 1)).all()


def test_a_change_of_gauge_keeps_the_tests_of_the_highest_order():
    result = genoattn.fit(two_state_landscape(), order=2, device="cpu")
    p_value = {}
    for gauge in GAUGES:
        frame = result.export(gauge).frame
        pairs = frame[(frame["order"] == 2) & (frame["state_1"] == "C") & (frame["state_2"] == "C")]
        p_value[gauge] = pairs.set_index(["site_1", "site_2"])["p_value"].sort_index()
    assert len(p_value["reference"]) == 10
    for gauge in GAUGES[1:]:
        np.testing.assert_allclose(p_value[gauge], p_value["reference"], rtol=1e-9)


def test_coefficient_sd_is_of_the_gauge():
    result = genoattn.fit(two_state_landscape(), order=2, device="cpu")
    spread = {g: result.export(g).frame.set_index(["site_1", "site_2", "state_1", "state_2"]) for g in GAUGES}
    row = ("s0", "s2", "C", "C")
    for gauge in GAUGES:
        posterior = result.model.posterior
        terms = np.array([[1, 5]])
        assert spread[gauge].loc[row, "coefficient_sd"] == pytest.approx(
            posterior.moments(terms, gauge)[1][0]
        )
    assert spread["reference"].loc[row, "coefficient_sd"] > 2 * spread["zero-sum"].loc[row, "coefficient_sd"]


def test_two_states_of_a_site_are_one_contrast():
    table = genoattn.fit(two_state_landscape(), order=2, device="cpu").table
    pairs = table.frame[table.frame["order"] == 2]
    assert len(pairs) == 40
    assert (~has_flag(pairs["flag"], "repeat")).sum() == 10
    first = pairs[~has_flag(pairs["flag"], "repeat")].set_index(["site_1", "site_2"])["p_value"]
    for row in pairs.itertuples():
        assert row.p_value == pytest.approx(first.loc[(row.site_1, row.site_2)], rel=1e-9)
    assert "order 2: 10 contrasts" in table.summary()
    assert "(40 rows of 40 possible)" in table.summary()
    assert not has_flag(
        genoattn.fit(two_state_landscape(), order=2, gauge="reference", device="cpu").table.frame["flag"],
        "repeat",
    ).any()


def test_repeats_by_hand():
    # s0 has two states and s1 three: the rows of A and C at s0 with the same state at s1 are one contrast.
    frame = pd.DataFrame(
        {"order": 2, "site_1": "s0", "state_1": list("ACAC"), "site_2": "s1", "state_2": list("DDEE")}
    )
    assert repeats(frame, frozenset({"s0"})).tolist() == [False, True, False, True]
    assert repeats(frame, frozenset()).tolist() == [False] * 4


def test_flags_are_joined_as_in_a_filter_column():
    flags = with_flag(np.array(["", "rare"], dtype=object), "linked", np.array([True, True]))
    assert flags.tolist() == ["linked", "rare;linked"]
    assert has_flag(pd.Series(flags), "rare").tolist() == [False, True]
    assert has_flag(pd.Series(flags), "link").tolist() == [False, False]


def test_a_combination_never_seen_is_flagged():
    cohort = two_state_landscape()
    calls = cohort.calls.copy()
    calls[(calls[:, 0] == 1) & (calls[:, 1] == 1), 1] = 0
    cohort = oracles.make_cohort(calls, (2,) * 5, "sequence", cohort.phenotype.values)
    frame = genoattn.fit(cohort, order=2, gauge="reference", device="cpu").table.frame
    row = frame[(frame["site_1"] == "s0") & (frame["site_2"] == "s1")].iloc[0]
    assert "unseen" in row["flag"].split(";")
    assert np.isnan(row[["effect", "se", "statistic", "p_value"]].to_numpy(dtype=float)).all()
    assert np.isfinite(row["coefficient"])


def as_schema_1(folder):
    """Turn a saved table into one of schema 1."""
    frame = pd.read_csv(folder / "interactions.tsv", sep="\t", keep_default_na=False)
    frame.drop(columns=["coefficient_sd", "effect"]).to_csv(
        folder / "interactions.tsv", sep="\t", index=False
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["estimand"], manifest["tests"]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 1}))


def test_schema_1_is_read_and_said_to_be_so(tmp_path, caplog):
    result = genoattn.fit(two_state_landscape(), order=2, device="cpu")
    result.save(tmp_path / "out")
    as_schema_1(tmp_path / "out")
    with caplog.at_level(logging.WARNING):
        table = load_interactions(tmp_path / "out" / "interactions.tsv")
    assert "written by schema 1" in caplog.text
    assert "not an estimate of coefficient" in table.manifest.estimand
    assert table.frame.columns.tolist() == table_columns(2)
    tested = table.frame.dropna(subset=["p_value"])
    np.testing.assert_allclose(tested["effect"], tested["statistic"] * tested["se"])
    assert table.frame["coefficient_sd"].isna().all()
    cohort = two_state_landscape()
    np.testing.assert_allclose(table.predict(cohort), result.predict(cohort), rtol=1e-8)


def test_a_schema_from_the_future_says_what_reads_it(tmp_path):
    genoattn.fit(two_state_landscape(), order=1, device="cpu").save(tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"schema_version": 3, "versions": {"genoattn": "9.1.0"}}))
    with pytest.raises(
        InputError,
        match=r"interactions.tsv: a table of schema version 3, and this genoattn reads up to 2; "
        r"install genoattn 9\.1\.0 or newer",
    ):
        load_interactions(tmp_path / "out" / "interactions.tsv")


def test_rows_in_words():
    row = {
        "order": 2, "site_1": "GA1", "state_1": "C", "site_2": "GH.117C", "state_2": "C",
        "coefficient": 0.7, "effect": 0.98, "se": 0.1,
    }  # fmt: skip
    assert describe_row(row, "genotype", "frequency", "log units") == (
        "carriers of GA1[C] and GH.117C[C]: +0.98 (+0.784 to +1.18) log units beyond what the two alone "
        "give, at the training frequencies of all other sites"
    )
    assert describe_row(row, "dosage", "reference", "log units").startswith(
        "each copy of GA1[C] with each copy of GH.117C[C]: +0.98 "
    )
    untested = describe_row(row | {"effect": np.nan, "se": np.nan}, "genotype", "reference", "log units")
    assert "+0.7 log units (the model's; not tested)" in untested
    assert untested.endswith("with all other sites in their reference state")
    single = describe_row(row | {"order": 1}, "sequence", "zero-sum", "log units")
    assert "against the even average of the site's states" in single
    table = genoattn.fit(two_state_landscape(), order=2, device="cpu").table
    assert table.describe(0) == table.describe(table.frame.iloc[0].to_dict())
    assert "units of trait" in table.describe(0)


@pytest.mark.parametrize("method", ["least squares", "posterior", "cell means", "mixed model", "scan"])
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_every_table_says_what_a_row_is(encoding, method):
    text = estimand(encoding, "frequency", "units of y", method)
    assert text.startswith("coefficient: ")
    assert "in units of y" in text
    assert text.endswith("statistic = effect / se")


def test_scans_keep_the_law():
    calls = oracles.random_calls(np.random.default_rng(0), 200, (3,) * 6)
    y = calls[:, 0] * calls[:, 3] + np.random.default_rng(1).normal(size=200)
    for binary in (False, True):
        values = (y > np.median(y)).astype(float) if binary else y
        cohort = oracles.make_cohort(calls, (3,) * 6, "genotype", values, binary)
        found = genoattn.scan_pairs(cohort, threshold=1.0)
        frame = found.frame
        np.testing.assert_array_equal(frame["effect"], frame["coefficient"])
        np.testing.assert_allclose(frame["effect"] / frame["se"], frame["statistic"], rtol=1e-12)
        assert found.manifest.estimand.startswith("coefficient: ")
    several = genoattn.scan_pairs(cohort, threshold=1.0, test="genotypic").frame
    assert several["effect"].isna().all()
    assert several["statistic"].notna().all()


def test_separated_cases_have_no_test_and_the_manifest_says_why():
    calls = np.repeat(oracles.all_calls((2,) * 5), 4, axis=0)
    case = ((calls[:, 0] == 1) & (calls[:, 1] == 1)).astype(float)
    table = genoattn.fit(
        oracles.make_cohort(calls, (2,) * 5, "sequence", case, True), order=2, device="cpu"
    ).table
    assert table.frame["p_value"].isna().all()
    assert "separate" in table.manifest.tests["untested"]


def test_rounding_is_not_tested():
    calls = np.repeat(oracles.all_calls((2,) * 5), 2, axis=0)
    y = 1.0 * calls[:, 0] + 0.5 * calls[:, 0] * calls[:, 1]
    frame = genoattn.fit(
        oracles.make_cohort(calls, (2,) * 5, "sequence", y), order=2, device="cpu"
    ).table.frame
    single = frame[(frame["order"] == 1) & (frame["state_1"] == "C")].set_index("site_1")["p_value"]
    assert single["s0"] < 1e-100
    assert (single[["s2", "s3", "s4"]] > 0.01).all()


def test_tests_of_pure_noise_hold_their_size_where_samples_are_few():
    p_values = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        calls = oracles.random_calls(rng, 24, (2,) * 6)
        cohort = oracles.make_cohort(calls, (2,) * 6, "sequence", rng.normal(size=24))
        result = genoattn.fit(cohort, order=2, device="cpu", seed=seed)
        assert result.tested.method == "posterior"
        pairs = result.table.frame[result.table.frame["order"] == 2]
        p_values += pairs.loc[~has_flag(pairs["flag"], "repeat"), "p_value"].dropna().tolist()
    assert len(p_values) > 300
    assert np.mean(np.array(p_values) < 0.05) < 0.09
    assert np.mean(np.array(p_values) < 0.001) < 0.01
