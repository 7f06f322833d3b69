"""Variances of measurements: from columns, from replicates, transformed; and repeated sequences."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from vcf_files import write_text

from genoattn.errors import InputError
from genoattn.io import read
from genoattn.io.measurements import replicate_means

SEQUENCES = {"a": "MK", "b": "MA", "c": "CK", "d": "CA"}


def fasta(tmp_path, records=SEQUENCES):
    return write_text(tmp_path / "x.fa", "".join(f">{k}\n{s}\n" for k, s in records.items()))


def table(tmp_path, text):
    return write_text(tmp_path / "p.tsv", text)


def expect(message, *arguments, **options):
    with pytest.raises(InputError, match=message) as caught:
        read(*arguments, **options)
    assert "\n" not in str(caught.value)


# --- columns


def test_variances_and_standard_errors(tmp_path):
    path = table(tmp_path, "IID\ty\tv\ts\nd\t4\t0.16\t0.4\na\t1\t0.01\t0.1\nb\t2\tNA\tNA\nc\t3\t0.09\t0.3\n")
    cohort = read(fasta(tmp_path), path, "y", variance_column="v")
    assert cohort.samples.tolist() == ["a", "c", "d"]
    assert cohort.phenotype.variance.tolist() == [0.01, 0.09, 0.16]
    assert "4 samples with genotypes, kept 3 (0 without a row" in cohort.log[1]
    assert "1 without a variance of the measurement" in cohort.log[1]
    # mean of 0.01, 0.09, 0.16 over the variance of 1, 3, 4: 0.26 / 3 / (14 / 9).
    assert any(
        "variance of the measurement 0.08667, which puts the ceiling of R2 at 0.944" in s for s in cohort.log
    )
    from_se = read(fasta(tmp_path), path, "y", se_column="s")
    np.testing.assert_allclose(from_se.phenotype.variance, [0.01, 0.09, 0.16])
    assert read(fasta(tmp_path), path, "y").phenotype.variance is None


def test_the_trait_is_what_is_left(tmp_path):
    path = table(tmp_path, "IID\ty\tv\na\t1\t1\nb\t2\t1\nc\t4\t2\n")
    assert read(fasta(tmp_path), path, variance_column="v").phenotype.name == "y"
    expect(r"p.tsv: no trait 'v'; there are: y", fasta(tmp_path), path, "v", variance_column="v")


def test_logarithm_by_the_delta_method(tmp_path):
    path = table(tmp_path, "IID\ty\tv\na\t1\t1\nb\t2\t1\nc\t4\t8\n")
    cohort = read(fasta(tmp_path), path, variance_column="v", transform="log")
    assert cohort.phenotype.variance.tolist() == [1, 0.25, 0.5]


@pytest.mark.parametrize(("cell", "found"), [("0", "0"), ("-1", "-1"), ("inf", "inf")])
@pytest.mark.parametrize(
    ("option", "what"), [("variance_column", "variance"), ("se_column", "standard error")]
)
def test_variances_of_zero_or_below(tmp_path, cell, found, option, what):
    path = table(tmp_path, f"IID\ty\tv\na\t1\t1\nb\t2\t{cell}\nc\t4\t{cell}\n")
    expect(
        rf"p.tsv: {what} 'v' of sample b is {found} \(2 such rows\); it must be finite and above zero, "
        "correct it, or write NA",
        fasta(tmp_path),
        path,
        **{option: "v"},
    )


def test_mistakes_in_columns(tmp_path):
    x, path = fasta(tmp_path), table(tmp_path, "IID\ty\tv\tr\na\t1\t1\t0\nb\t2\t1\t1\nc\t4\tx\t1\n")
    expect(
        r"variances in 'v' and standard errors in 'r'; give one", x, path, variance_column="v", se_column="r"
    )
    expect(r"p.tsv: no column 'z'; there are: y, v, r$", x, path, "y", variance_column="z")
    expect(r"p.tsv: variance 'v' of sample c is 'x', not a number", x, path, "y", variance_column="v")
    expect(r"trait 'y' with replicates, which give mean", x, path, "y", replicate_columns=["v", "r"])
    expect(
        r"variance or standard error 'v' with replicates",
        x,
        path,
        variance_column="v",
        replicate_columns=["y", "r"],
    )
    expect(r"replicate columns y; name two different ones or more", x, path, replicate_columns=["y"])
    expect(r"replicate columns y, y; name two different", x, path, replicate_columns=["y", "y"])
    path = table(tmp_path, "IID\ty\tv\na\t0\t1\nb\t1\t1\nc\t1\t1\n")
    expect(
        r"trait 'y' is binary, which has no measurement variances; leave them", x, path, variance_column="v"
    )
    path = table(tmp_path, "IID\ty\tv\na\t1\t1\nb\t2\t1\nc\t4\t1\n")
    expect(
        r"trait 'y': ranks have no measurement variances; leave them out, or use transform none or log",
        x,
        path,
        variance_column="v",
        transform="rank",
    )


# --- replicates


def test_replicates_by_hand(tmp_path):
    """Deviations 1, 1, 1 and df 1, 1, 1 vary less than chance: the pooled variance 2 for all."""
    path = table(tmp_path, "IID\tr1\tr2\textra\na\t1\t3\t0\nb\t2\t4\t0\nc\t5\t3\t0\nd\t7\tNA\t0\n")
    cohort = read(fasta(tmp_path), path, replicate_columns=("r1", "r2"))
    assert cohort.phenotype.name == "mean of r1, r2"
    assert cohort.phenotype.values.tolist() == [2, 3, 4, 7]
    np.testing.assert_allclose(cohort.phenotype.variance, [1, 1, 1, 2])
    line = (
        "variance of a replicate 2 on average; each sample's own is shrunk to it with infinitely many degrees"
    )
    assert any(line in s for s in cohort.log)


def test_replicates_find_the_law_of_the_variances():
    """Scaled inverse chi-squared variances, the conjugate prior: its parameters come back."""
    rng = np.random.default_rng(0)
    n, d0, s0 = 40_000, 6.0, 0.3
    variance = d0 * s0 / rng.chisquare(d0, n)
    values = rng.normal(size=(n, 3)) * np.sqrt(variance)[:, None] + rng.normal(size=(n, 1))
    values[: n // 2, 2] = np.nan
    values[0], values[1, :2] = np.nan, [np.nan, 5.0]
    found = replicate_means(values)
    assert found.prior_df == pytest.approx(d0, rel=0.1)
    assert found.prior_variance == pytest.approx(s0, rel=0.03)
    assert np.isnan(found.mean[0])
    assert np.isnan(found.variance[0])
    assert (found.mean[1], found.variance[1]) == (5.0, pytest.approx(found.prior_variance))
    # The definition, one sample at a time.
    for i in (2, 3, n - 1):
        own = values[i][~np.isnan(values[i])]
        d = len(own) - 1
        shrunk = (found.prior_df * found.prior_variance + d * own.var(ddof=1)) / (found.prior_df + d)
        assert found.variance[i] == pytest.approx(shrunk / len(own), rel=1e-12)
    # Better weights than the samples' own variances: closer to the truth in log.
    ours = np.log(found.variance[n // 2 :] * 3 / variance[n // 2 :])
    own = np.log(values[n // 2 :].var(axis=1, ddof=1) / variance[n // 2 :])
    assert ours.std() < 0.6 * own.std()


def test_replicates_that_cannot_tell(tmp_path):
    x = fasta(tmp_path)
    path = table(tmp_path, "IID\tr1\tr2\na\t1\t3\nb\t2\tNA\nc\t5\tNA\nd\t7\tNA\n")
    expect(
        r"p.tsv: replicates r1, r2: fewer than two samples have two replicates, which leaves no variance",
        x,
        path,
        replicate_columns=["r1", "r2"],
    )
    path = table(tmp_path, "IID\tr1\tr2\na\t1\t1\nb\t2\t2\nc\t5\tNA\nd\t7\tNA\n")
    expect(r"the replicates of every sample are the same, which", x, path, replicate_columns=["r1", "r2"])
    path = table(tmp_path, "IID\tr1\tr2\na\t1\t1\nb\t2\tinf\nc\t5\tNA\nd\t7\tNA\n")
    expect(r"p.tsv: replicate 'r2' of sample b is infinite; correct", x, path, replicate_columns=["r1", "r2"])


# --- repeated sequences

REPEATED = {"a": "MK", "b": "MA", "c": "MK", "d": "CA", "e": "MK", "f": "MX", "g": "MX", "h": "MA"}


def test_repeated_sequences_are_averaged(tmp_path):
    rows = "".join(f"{k}\t{v}\n" for k, v in zip(REPEATED, [1, 5, 2, 7, 6, 8, 9, 5], strict=True))
    cohort = read(fasta(tmp_path, REPEATED), table(tmp_path, "IID\ty\n" + rows))
    # MX says nothing of its second residue: f and g may differ.
    assert cohort.samples.tolist() == ["a", "b", "d", "f", "g"]
    assert cohort.phenotype.values.tolist() == [3, 5, 7, 8, 9]
    line = "2 sequences occur more than once (5 samples, up to 3 each), 1 of them with different values"
    assert any(s.startswith(line) for s in cohort.log)


def test_repeated_sequences_with_variances(tmp_path):
    """1 at variance 1 and 5 at variance 3: (1 + 5/3) / (4/3) = 2, with variance 3/4."""
    path = table(tmp_path, "IID\ty\tv\na\t1\t1\nb\t7\t1\nc\t5\t3\nd\t9\t2\n")
    cohort = read(fasta(tmp_path, {"a": "MK", "b": "MA", "c": "MK", "d": "CA"}), path, variance_column="v")
    np.testing.assert_allclose(cohort.phenotype.values, [2, 7, 9])
    np.testing.assert_allclose(cohort.phenotype.variance, [0.75, 1, 2])


def test_repeated_sequences_from_the_definition(tmp_path):
    rng = np.random.default_rng(3)
    n = 200
    names = [f"s{i}" for i in range(n)]
    sequences = ["".join(rng.choice(list("ACDX"), 3, p=[0.4, 0.3, 0.25, 0.05])) for _ in names]
    values, batch = rng.integers(0, 9, n).astype(float), rng.choice(["u", "w"], n)
    groups = defaultdict(list)
    for i, (s, b) in enumerate(zip(sequences, batch, strict=True)):
        groups[(s, b) if "X" not in s else i].append(i)
    path = table(tmp_path, "IID\ty\n" + "".join(f"{k}\t{v}\n" for k, v in zip(names, values, strict=True)))
    covar = write_text(
        tmp_path / "c.tsv", "IID\tb\n" + "".join(f"{k}\t{v}\n" for k, v in zip(names, batch, strict=True))
    )
    records = dict(zip(names, sequences, strict=True))
    cohort = read(fasta(tmp_path, records), path, covar=covar, max_missing=1)
    assert cohort.samples.tolist() == [names[members[0]] for members in groups.values()]
    np.testing.assert_allclose(
        cohort.phenotype.values, [values[members].mean() for members in groups.values()]
    )
    assert len(cohort.samples) < 120


def test_repeated_sequences_refused(tmp_path):
    x = fasta(tmp_path, {"a": "MK", "b": "MA", "c": "MK", "d": "CA"})
    path = table(tmp_path, "IID\ty\na\t1\nb\t7\nc\t5\nd\t9\n")
    expect(
        r"x.fa: a and c are the same sequence with values 1 and 5 \(1 such sequences\); keep one of each, or "
        "leave strict off to average them",
        x,
        path,
        strict=True,
    )
    agreeing = table(tmp_path, "IID\ty\na\t1\nb\t7\nc\t1\nd\t9\n")
    assert read(x, agreeing, strict=True).samples.tolist() == ["a", "b", "d"]


def test_repeated_observations_of_a_binary_trait_stay(tmp_path):
    x = fasta(tmp_path, {"a": "MK", "b": "MA", "c": "MK", "d": "CA"})
    path = table(tmp_path, "IID\ty\na\t1\nb\t0\nc\t0\nd\t1\n")
    cohort = read(x, path)
    assert cohort.samples.tolist() == ["a", "b", "c", "d"]
    assert any(s.endswith("1 of them in both classes; all samples are kept") for s in cohort.log)


def test_repeated_counts_stay(tmp_path):
    x = fasta(tmp_path, {"a": "MK", "b": "MA", "c": "MK", "d": "CA"})
    cohort = read(x, table(tmp_path, "IID\ty\na\t1\nb\t0\nc\t4\nd\t1\n"), average=False)
    assert cohort.phenotype.values.tolist() == [1, 0, 4, 1]
    assert any(s.endswith("1 of them with different values; all samples are kept") for s in cohort.log)
