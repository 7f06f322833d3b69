"""Estimators of scikit-learn: features, tables, predictions, and life in pipelines and searches."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures

import genoattn
from genoattn import Cohort, HyperAttentionClassifier, HyperAttentionRegressor
from genoattn.errors import InputError
from genoattn.estimators.feature_matrix import is_text

EFFECTS = ["coefficient", "effect", "se", "p_value"]


def genotypes(n=120, n_sites=5, seed=0):
    """Copies (n, n_sites) and a trait to which sites 1, and 2 with 4, contribute."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, (n, n_sites)).astype(float)
    return X, X[:, 0] + 1.5 * X[:, 1] * X[:, 3] + 0.3 * rng.normal(size=n)


def sequences(n=90, length=4, seed=0):
    """Aligned DNA of letters A and C, the first of them AAAA, and a trait of two interacting columns."""
    rng = np.random.default_rng(seed)
    letters = rng.choice(["A", "C"], (n, length))
    letters[0] = "A"
    is_c = letters == "C"
    y = is_c[:, 0] + 2.0 * (is_c[:, 1] & is_c[:, 2]) + 0.05 * rng.normal(size=n)
    return ["".join(row) for row in letters], y


def ridge(**options):
    return HyperAttentionRegressor(estimator="ridge", random_state=1, **options)


def rows(table):
    """Rows of a table that do not depend on their order."""
    names = [c for c in table.frame if str(c).startswith(("site_", "state_"))]
    return table.frame.sort_values(names).reset_index(drop=True)


def test_the_table_is_that_of_fit():
    X, y = genotypes()
    options = {"gauge": "reference", "device": "cpu", "max_epochs": 20}
    model = HyperAttentionRegressor(random_state=3, **options).fit(X, y)
    cohort = Cohort.from_arrays(X, phenotype=y, trait="y")
    own = genoattn.fit(cohort, order=2, seed=3, test=0.0, refit=True, assess=False, **options)
    assert model.interactions_.to_tsv() == own.table.to_tsv()
    np.testing.assert_array_equal(model.predict(X), own.predict(cohort))
    found = model.interactions_.top(1).iloc[0]
    assert {found["site_1"], found["site_2"]} == {"site2", "site4"}
    assert found["effect"] == pytest.approx(1.5, abs=0.15)


def test_order_two_is_regression_on_products():
    X, y = genotypes(150)
    table = rows(ridge(penalty=0.0, gauge="reference").fit(X, y).interactions_)
    # Without shrinkage the effects are those of least squares on all sites and products.
    products = PolynomialFeatures(2, interaction_only=True, include_bias=False)
    expected = LinearRegression().fit(products.fit_transform(X), y).coef_
    names = [
        tuple(sorted(name.split()))
        for name in products.get_feature_names_out([f"site{k}" for k in range(1, 6)])
    ]
    effect = {
        tuple(sorted(filter(None, (r["site_1"], r["site_2"])))): r["effect"]
        for r in table.to_dict("records")
        if r["order"]
    }
    np.testing.assert_allclose([effect[name] for name in names], expected, atol=1e-6)


def test_coefficients_of_numbers_are_per_unit_of_theirs():
    X, y = genotypes()
    model = ridge().fit(X, y)
    shift, stretch = np.array([5.0, -3, 0, 100, 1]), np.array([10.0, 0.5, 4, 1, 7])
    Z = X * stretch - shift
    of_numbers = ridge(encoding="numeric").fit(Z, y)
    np.testing.assert_allclose(of_numbers.predict(Z), model.predict(X), atol=1e-4)
    a, b = (
        m.interactions_.frame.set_index(["order", "site_1", "site_2"])[EFFECTS] for m in (model, of_numbers)
    )
    b = b.rename(index={f"x{k}": f"site{k + 1}" for k in range(5)}).loc[a.index]
    scale = {f"site{k + 1}": 1 / s for k, s in enumerate(stretch)} | {"": 1.0}
    per_unit = np.array([scale[one] * scale[two] for _, one, two in a.index])
    for name in ("coefficient", "effect", "se"):
        np.testing.assert_allclose(b[name], a[name] * per_unit, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(b["p_value"], a["p_value"], rtol=1e-2, atol=1e-8)
    np.testing.assert_allclose(of_numbers.interactions_.manifest.centre, Z.mean(axis=0), rtol=1e-5)
    assert of_numbers.interactions_.frame["frequency"].isna().all()


def test_the_rows_of_numbers_add_up_to_predictions_outside_the_range_of_training_too():
    rng = np.random.default_rng(2)
    X = rng.normal(3, 2, (80, 3))
    model = ridge().fit(X, X[:, 0] - X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=80))
    # 0 and 1 lie so that offset - scale, the number that missing calls have, occurs too.
    new = np.vstack([rng.normal(3, 6, (50, 3)), model.features_.offset - model.features_.scale])
    table = model.interactions_
    centre = dict(zip(table.manifest.sites.ids, table.manifest.centre, strict=True))
    value = pd.DataFrame(new, columns=["x0", "x1", "x2"])
    total = np.zeros(len(new))
    for row in table.frame.to_dict("records"):
        sites = [row[f"site_{k}"] for k in range(1, row["order"] + 1)]
        total += row["coefficient"] * np.prod([value[s] - centre[s] for s in sites], axis=0)
    np.testing.assert_allclose(model.predict(new), total, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("form", ["frame", "csr", "int8", "list"])
def test_forms_of_numbers(form):
    X, y = genotypes()
    expected = ridge().fit(X, y).predict(X)
    names = [f"rs{k}" for k in range(5)]
    given = {
        "frame": pd.DataFrame(X, columns=names),
        "csr": sparse.csr_array(X),
        "int8": X.astype(np.int8),
        "list": X.tolist(),
    }[form]
    model = ridge().fit(given, y)
    np.testing.assert_allclose(model.predict(given), expected, rtol=1e-5, atol=1e-6)
    assert model.n_features_in_ == 5
    if form == "frame":
        assert model.feature_names_in_.tolist() == model.result_.manifest.sites.ids.tolist() == names


def test_missing_calls_count_as_the_mean():
    X, y = genotypes()
    X[::7, 1] = np.nan
    model = ridge().fit(X, y)
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    np.testing.assert_allclose(model.predict(X), model.predict(filled), atol=1e-5)


def test_sites_have_places_and_alleles():
    X, y = genotypes()
    sites = pd.DataFrame(
        {
            "id": list("abcde"),
            "chrom": ["1", "1", "2", "2", "3"],
            "pos": [5, 9, 5, 9, 5],
            "ref": "A",
            "alt": "G",
        }
    )
    top = ridge(sites=sites).fit(X, y).interactions_.top(1).iloc[0]
    assert top[["site_1", "chrom_1", "pos_1", "ref_1", "state_1"]].tolist() == ["b", "1", 9, "A", "G"]


def test_sequences_are_those_of_read(tmp_path):
    X, y = sequences()
    pd.DataFrame({"variant": X, "y": y}).drop_duplicates("variant").to_csv(tmp_path / "x.csv", index=False)
    cohort = genoattn.read(tmp_path / "x.csv", trait="y", sequence_column="variant")
    first = pd.Series(X).drop_duplicates().index.to_numpy()
    one, trait = [X[i] for i in first], y[first]
    model = HyperAttentionRegressor(gauge="reference", random_state=0).fit(pd.Series(one), trait)
    own = genoattn.fit(
        cohort, order=2, gauge="reference", seed=0, test=0.0, validation=0.0, refit=True, assess=False
    )
    pd.testing.assert_frame_equal(model.interactions_.frame, own.table.frame)
    assert model.n_features_in_ == 4
    assert model.interactions_.top(1)[["site_1", "site_2"]].to_numpy().tolist() == [["A2", "A3"]]
    model.result_.save(tmp_path / "fit")
    np.testing.assert_array_equal(
        genoattn.load_model(tmp_path / "fit").predict(cohort), model.predict(cohort_texts(cohort))
    )


def cohort_texts(cohort):
    return ["".join(cohort.sites.states[k][c] for k, c in enumerate(row)) for row in cohort.calls]


def test_a_table_of_letters_or_categories_is_that_of_its_sequences():
    X, y = sequences()
    letters = pd.DataFrame([list(text) for text in X], columns=["p1", "p2", "p3", "p4"])
    words = letters.replace({"A": "alanine", "C": "cysteine"})
    of_texts = HyperAttentionRegressor(random_state=0).fit(X, y)
    of_letters = HyperAttentionRegressor(random_state=0).fit(letters, y)
    of_words = HyperAttentionRegressor(random_state=0).fit(words, y)
    np.testing.assert_allclose(of_letters.predict(letters), of_texts.predict(X), atol=1e-6)
    np.testing.assert_allclose(of_words.predict(words), of_texts.predict(X), atol=1e-6)
    assert set(of_words.interactions_.top(1)[["site_1", "site_2"]].iloc[0]) == {"p2", "p3"}
    missing = words.astype(object)
    missing.loc[3] = None
    unknown = [*X[:3], "NNNN", *X[4:]]
    np.testing.assert_allclose(of_words.predict(missing), of_texts.predict(unknown), atol=1e-6)


def test_the_reference_is_the_one_given():
    X, y = sequences()
    model = HyperAttentionRegressor(gauge="reference", reference="CCCC", random_state=0).fit(X, y)
    assert model.result_.manifest.sites.ref.tolist() == list("CCCC")
    lists = HyperAttentionRegressor(gauge="reference", reference=list("CCCC"), random_state=0)
    of_letters = lists.fit([list(text) for text in X], y)
    assert of_letters.result_.manifest.sites.ref.tolist() == list("CCCC")


def test_a_letter_never_seen_is_refused_or_missing():
    X, y = sequences()
    with pytest.raises(
        InputError, match=r"X has 'G' in row 0, column 3, which no training sample had \(A, C\)"
    ):
        HyperAttentionRegressor(random_state=0).fit(X, y).predict(["AAAG"])
    model = HyperAttentionRegressor(handle_unknown="ignore", random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict(["AAAG"]), model.predict(["AAAN"]))


def test_classes_and_probabilities():
    X, y = genotypes(200)
    label = np.where(y > np.median(y), "case", "control")
    model = HyperAttentionClassifier(random_state=0, max_epochs=5).fit(X, label)
    assert model.classes_.tolist() == ["case", "control"]
    odds, probability = model.decision_function(X), model.predict_proba(X)
    np.testing.assert_allclose(probability[:, 1], expit(odds))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (model.predict(X) == np.where(odds > 0, "control", "case")).all()
    assert model.score(X, label) > 0.8
    assert model.interactions_.manifest.units == "log-odds"


def test_several_classes_go_one_against_the_rest():
    X, y = genotypes(100)
    label = np.digitize(y, np.quantile(y, [0.33, 0.67]))
    with pytest.raises(ValueError, match=r"Only binary classification is supported\. .* is multiclass"):
        HyperAttentionClassifier().fit(X, label)
    several = OneVsRestClassifier(HyperAttentionClassifier(random_state=0, max_epochs=2)).fit(X, label)
    assert several.predict_proba(X).shape == (100, 3)


def test_counts_are_predicted_by_their_mean():
    X, _ = genotypes(200)
    rng = np.random.default_rng(0)
    y = rng.poisson(np.exp(0.5 * X[:, 0]))
    model = HyperAttentionRegressor(likelihood="poisson", random_state=0, max_epochs=20).fit(X, y)
    by_copies = [model.predict(X)[X[:, 0] == k].mean() for k in range(3)]
    np.testing.assert_allclose(by_copies, np.exp([0, 0.5, 1.0]), rtol=0.3)


def test_zeros_and_ones_are_numbers_to_the_regressor():
    X, y = genotypes()
    model = HyperAttentionRegressor(random_state=0, max_epochs=2).fit(X, y > np.median(y))
    assert model.interactions_.manifest.units == "units of y"


def test_a_search():
    X, y = genotypes(80)
    search = GridSearchCV(ridge(), {"order": [1, 2]}, cv=2).fit(X, y)
    assert search.best_params_ == {"order": 2}
    assert search.best_estimator_.interactions_.manifest.order == 2


@pytest.mark.validation  # each process imports torch
def test_pipelines_in_parallel():
    X, y = genotypes(80)
    pipeline = make_pipeline(FunctionTransformer(), ridge())
    parallel, serial = (cross_val_score(pipeline, X, y, cv=2, n_jobs=n) for n in (2, None))
    np.testing.assert_allclose(parallel, serial, rtol=1e-6)


def test_a_copy_and_a_pickle_are_the_same_and_a_seed_tells_all():
    X, y = genotypes(60)
    sites = pd.DataFrame({"id": list("abcde")})
    seed = np.random.RandomState(4)
    model = HyperAttentionRegressor(sites=sites, max_epochs=5, random_state=seed).fit(X, y)
    again = clone(model).set_params(random_state=np.random.RandomState(4)).fit(X, y)
    assert again.interactions_.to_tsv() == model.interactions_.to_tsv()
    read = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(read.predict(X), model.predict(X))
    assert read.interactions_.to_tsv() == model.interactions_.to_tsv()


def test_few_samples_and_one_feature():
    X, y = genotypes(8)
    model = HyperAttentionRegressor(random_state=0, max_epochs=2).fit(X[:, :1], y)
    assert model.interactions_.manifest.order == 1
    assert model.result_.metrics.n_samples == {"training": 8}
    assert model.result_.manifest.model["validation_loss"] is None


def test_assess_seeks_signals():
    X, y = genotypes(150, 12)
    quick = HyperAttentionRegressor(random_state=0, max_epochs=2).fit(X, y)
    assert quick.result_.discovery is None
    assert quick.result_.manifest.tests["signals"] == "assess is off"
    assert quick.interactions_.top(99)["q_value"].isna().all()
    full = HyperAttentionRegressor(random_state=0, max_epochs=2, assess=True).fit(X, y)
    assert full.interactions_.top(1)["q_value"].item() < 0.05
    assert full.result_.metrics.n_folds == 5


@pytest.mark.parametrize(
    ("options", "X", "message"),
    [
        ({"encoding": "onehot"}, [[0], [1], [2]], "encoding 'onehot' is unknown; choose one of auto, dosage"),
        ({"handle_unknown": "drop"}, [[0], [1], [2]], "handle_unknown is 'drop'; choose error or ignore"),
        ({"encoding": "dosage"}, [[0], [1], [-1]], "X has -1 in row 2, column 0, needed are 0 to 2 copies"),
        (
            {"encoding": "genotype"},
            [[0], [1], [0.5]],
            "needs hard calls; round them, or use encoding='dosage'",
        ),
        ({"encoding": "sequence"}, [[0], [1], [2]], "encoding 'sequence' needs letters; give X.astype"),
        ({"encoding": "dosage"}, ["A", "C", "A"], "X has strings, and encoding 'dosage' needs numbers"),
        (
            {"reference": ["A"]},
            ["A", "C", "A"],
            "reference is a list, and X has sequences; give one sequence",
        ),
        ({"reference": "AA"}, [["A"], ["C"], ["A"]], "reference has 2 states for 1 features; give one each"),
        ({"sites": pd.DataFrame({"id": ["a"]})}, ["A", "C", "A"], "sites are for numbers, and X has strings"),
        ({}, ["AC", "C", "AA"], r"X: row 2 \(sample2\) has 1 residues, row 1 \(sample1\) has 2; align"),
        ({}, [[np.inf], [1], [2]], "Input X contains infinity"),
    ],
)
def test_what_is_refused(options, X, message):
    with pytest.raises(ValueError, match=message):
        HyperAttentionRegressor(**options).fit(X, [1.0, 2.0, 4.0])


def test_more_that_is_refused():
    X, y = genotypes(30)
    with pytest.raises(ValueError, match="y should be a 1d array, got an array of shape"):
        ridge().fit(X, np.column_stack([y, y]))
    with pytest.raises(InputError, match="y is 3 for all samples; a model needs a trait that varies"):
        ridge().fit(X, np.full(30, 3.0))
    with pytest.raises(InputError, match="y has one class, 1; a classifier needs samples of two classes"):
        HyperAttentionClassifier().fit(X, np.ones(30, dtype=int))
    many = np.arange(200).astype(str)[:, None]
    with pytest.raises(InputError, match="X has 200 categories in column 0, at most 127"):
        ridge().fit(many, np.arange(200.0))
    model = ridge().fit(X, y)
    with pytest.raises(InputError, match="the model was fitted on numbers, and X has strings"):
        model.predict(X.astype(str))
    with pytest.raises(InputError, match="X has 3 in row 1, column 2, needed are 0 to 2 copies; write NaN"):
        model.predict(np.where(np.arange(150).reshape(30, 5) == 7, 3, X))


def test_integers_that_are_no_copies_are_told():
    X, y = genotypes()
    X[4, 2] = -9
    with pytest.warns(UserWarning, match="X has -9 in column 2, and its integers are taken for numbers, not"):
        ridge().fit(X, y)
    assert ridge(ploidy=4).fit(2 * genotypes()[0], y).features_.encoding == "dosage"


def test_what_is_text():
    frame = pd.DataFrame({"a": [1, 2], "b": ["A", None]})
    assert is_text(frame)
    assert is_text(pd.Series(["AC", "CA"], dtype="string"))
    assert not is_text(frame[["a"]])
    assert not is_text(np.array([[1, None]], dtype=object))
