"""A new cohort laid out as a model expects it."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import genotype_sites, levels_of, sequence_sites

from genoattn.cohort import Cohort, Covariates, Sites
from genoattn.errors import InputError
from genoattn.tokens.align import align_calls, align_covariates

SOURCE = {"genotypes": "new.vcf"}


def cohort_of(sites, calls, kind="genotype", covariates=None):
    calls = np.array(calls, dtype=np.int8)
    samples = [f"i{k}" for k in range(len(calls))]
    return Cohort(samples, sites, calls, kind, covariates=covariates, source=SOURCE)


def with_changes(sites, **changes):
    parts = {name: getattr(sites, name).copy() for name in ("ids", "chrom", "pos", "ref", "alt")}
    parts |= {name: np.array(value, dtype=object) for name, value in changes.items() if name != "states"}
    return Sites(**parts, states=changes.get("states", sites.states))


def column(residues, pos, states):
    ids = [f"{residue}{place}" for residue, place in zip(residues, pos, strict=True)]
    none = [""] * len(pos)
    return Sites(ids, none, pos, list(residues), none, tuple(tuple(s) for s in states))


CALLS = [[0, 1, 2], [2, -1, 0]]


def test_own_sites_come_back_untouched():
    cohort = cohort_of(genotype_sites(3), CALLS)
    assert align_calls(cohort, cohort.sites) is cohort.calls


def test_other_order_and_extra_sites():
    model = genotype_sites(3).select(np.array([2, 0]))
    np.testing.assert_array_equal(align_calls(cohort_of(genotype_sites(3), CALLS), model), [[2, 0], [0, 2]])


def test_position_and_alleles_match_whatever_the_id():
    sites = with_changes(genotype_sites(3), ids=["x", "y", "z"])
    np.testing.assert_array_equal(align_calls(cohort_of(sites, CALLS), genotype_sites(3)), CALLS)


def test_id_and_alleles_match_whatever_the_position():
    sites = with_changes(genotype_sites(3), pos=[7, 8, 9], chrom=["chr1", "chr2", "chr3"])
    np.testing.assert_array_equal(align_calls(cohort_of(sites, CALLS), genotype_sites(3), None, "id"), CALLS)


def test_position_goes_before_id():
    # The IDs of two sites have changed places; where they lie has not.
    sites = with_changes(genotype_sites(3), ids=["rs2", "rs1", "rs3"])
    np.testing.assert_array_equal(align_calls(cohort_of(sites, CALLS), genotype_sites(3)), CALLS)


@pytest.mark.parametrize("by", ["position", "id"])
def test_swapped_alleles_are_turned_round_and_said(caplog, by):
    changes = {"ref": ["A", "G", "A"], "alt": ["G", "A", "G"]}
    changes |= {"ids": ["x", "y", "z"]} if by == "position" else {"pos": [7, 8, 9]}
    sites = with_changes(genotype_sites(3), **changes)
    with caplog.at_level(logging.INFO, "genoattn"):
        new = cohort_of(sites, [[0, 0, 2], [2, -1, 0], [1, 2, 1]])
        found = align_calls(new, genotype_sites(3), match_by=by)
    np.testing.assert_array_equal(found, [[0, 2, 2], [2, -1, 0], [1, 0, 1]])
    how = "position" if by == "position" else "ID"
    said = (
        f"new.vcf: 3 sites of the model matched by {how}; 1 with reference and effect allele swapped, turned"
    )
    said += " round"
    assert caplog.messages == [said + ("" if by == "position" else "; 3 at another position")]


def test_an_own_match_is_not_swapped_for_another_record_of_the_position():
    # Both A>G and G>A are written at one place: the one with the model's alleles counts.
    one = genotype_sites(1)
    both = Sites(["a", "b"], ["1", "1"], [100, 100], ["G", "A"], ["A", "G"], one.states * 2)
    np.testing.assert_array_equal(align_calls(cohort_of(both, [[0, 1], [2, 0]]), one), [[1], [0]])


def test_other_alleles_are_another_site():
    sites = with_changes(genotype_sites(3), alt=["G", "T", "G"])
    message = (
        r"new.vcf: rs2 \(2:200\) has the alleles A/G in the model and A/T in the file, one of 1 such sites; "
        "correct the alleles or their strand, which is not guessed"
    )
    with pytest.raises(InputError, match=message):
        align_calls(cohort_of(sites, CALLS), genotype_sites(3))


def test_missing_sites_are_named_three_of_them():
    cohort = cohort_of(genotype_sites(1), [[1]])
    message = r"5 of the model's 6 sites are not there \(rs2, rs3, rs4\); add them, as missing calls \./\."
    with pytest.raises(InputError, match=message):
        align_calls(cohort, genotype_sites(6))


def test_more_copies_than_the_ploidy_of_the_model():
    message = "new.vcf: sample i1 has 2 copies at rs1, where the model knows ploidy 1; check the ploidy"
    with pytest.raises(InputError, match=message):
        align_calls(cohort_of(genotype_sites(2), [[0, 1], [2, 0]]), genotype_sites(2, ploidy=1))


def test_diploid_calls_without_heterozygotes_or_carriers_fit_a_haploid_model():
    found = align_calls(cohort_of(genotype_sites(2), [[0, 1], [1, -1]]), genotype_sites(2, ploidy=1))
    np.testing.assert_array_equal(found, [[0, 1], [1, -1]])


@pytest.mark.parametrize(("haploid", "copies"), [("double", 2), ("as-is", 1)])
def test_haploid_calls_where_the_model_counts_two_copies_are_as_in_the_fit(haploid, copies, caplog):
    new = replace(cohort_of(genotype_sites(2, ploidy=1), [[0, 1], [-1, 0]]), haploid=haploid)
    with caplog.at_level(logging.INFO, "genoattn"):
        found = align_calls(new, genotype_sites(2), haploid)
    np.testing.assert_array_equal(found, [[0, copies], [-1, 0]])
    said = "new.vcf: 3 haploid calls at 2 sites count 0 or 2 copies, as in the fit"
    assert (said in caplog.messages) == (haploid == "double")


def test_a_cohort_read_otherwise_than_that_of_the_fit_is_refused():
    message = "new.vcf: haploid calls read as double, but the model was fitted with haploid as-is; read"
    with pytest.raises(InputError, match=message):
        align_calls(cohort_of(genotype_sites(2), [[0, 1]]), genotype_sites(2), "as-is")


def test_a_higher_ploidy_of_the_model_is_no_other_number_of_copies():
    message = "new.vcf: calls of ploidy 2 at rs1, where the model knows ploidy 4; call the samples as"
    with pytest.raises(InputError, match=message):
        align_calls(cohort_of(genotype_sites(2), [[0, 1]]), genotype_sites(2, ploidy=4))


def test_swapped_haploid_calls_turn_round_within_their_own_ploidy():
    # A haploid sample with the model's reference carries no effect allele, not one.
    sites = with_changes(genotype_sites(2, ploidy=1), ref=["G", "G"], alt=["A", "A"])
    found = align_calls(cohort_of(sites, [[1, 0], [-1, 1]]), genotype_sites(2))
    np.testing.assert_array_equal(found, [[0, 2], [-1, 0]])


def test_turned_round_calls_of_more_copies_than_the_model_knows():
    sites = with_changes(genotype_sites(1), ref=["G"], alt=["A"])
    with pytest.raises(InputError, match="sample i0 has 2 copies at rs1, where the model knows ploidy 1"):
        align_calls(cohort_of(sites, [[0]]), genotype_sites(1, ploidy=1))


def test_samples_without_most_calls_are_named(caplog):
    calls = [[-1, -1, -1, 0], [-1, -1, 1, 0], [-1, 0, 1, 0], [-1, -1, 2, -1]]
    with caplog.at_level(logging.WARNING, "genoattn"):
        align_calls(cohort_of(genotype_sites(4), calls), genotype_sites(4))
    assert caplog.messages == [
        "new.vcf: 2 samples lack a call at more than half of the model's 4 sites (i0 at 3, i3 at 3); "
        "a missing call counts as the mean of the training samples"
    ]


def test_sequences_match_by_column_and_residue():
    model = column("AC", [2, 5], ["AC", "CDA"])
    # The same columns with states in another order, and one more column between.
    new = column("CAD", [2, 4, 5], ["CA", "AG", "DAC"])
    found = align_calls(cohort_of(new, [[0, 1, 0], [1, 0, 2], [-1, 0, 1]], "sequence"), model)
    np.testing.assert_array_equal(found, [[1, 1], [0, 0], [-1, 2]])


def test_states_that_occur_in_the_header_but_not_in_the_samples_do_no_harm():
    new = column("A", [1], ["AW"])  # W is a state of the column, and no sample has it
    found = align_calls(cohort_of(new, [[0], [-1]], "sequence"), column("A", [1], ["CA"]))
    np.testing.assert_array_equal(found, [[1], [-1]])


def test_unseen_residue():
    new = column("AA", [1, 2], ["AC", "AW"])
    message = (
        r"new.vcf: i1 has W at column 2, which no training sample had \(A, C, D\); "
        "write X where it should count as missing"
    )
    with pytest.raises(InputError, match=message):
        align_calls(cohort_of(new, [[0, 0], [1, 1]], "sequence"), sequence_sites(2))


def test_columns_have_no_ids():
    message = "new.vcf: columns of an alignment match by number and have no ID; leave match_by out"
    with pytest.raises(InputError, match=message):
        align_calls(cohort_of(sequence_sites(1), [[0]], "sequence"), sequence_sites(1), match_by="id")


def test_alignment_too_short():
    message = r"new.vcf: no column 3, which the model uses \(A3\); align to the same length"
    with pytest.raises(InputError, match=message):
        align_calls(cohort_of(sequence_sites(2), [[0, 1]], "sequence"), sequence_sites(3))


@pytest.mark.parametrize(
    ("kind", "sites", "model", "message"),
    [
        (
            "genotype",
            genotype_sites(1),
            sequence_sites(1),
            "genotype data, but .* fitted on aligned sequences",
        ),
        (
            "sequence",
            sequence_sites(1),
            genotype_sites(1),
            "sequence data, but .* fitted on genotypes; give it",
        ),
    ],
)
def test_genotypes_and_sequences_do_not_mix(kind, sites, model, message):
    with pytest.raises(InputError, match=f"new.vcf: {message}"):
        align_calls(cohort_of(sites, [[0]], kind), model)


def labelled(labels, levels):
    return cohort_of(genotype_sites(1), [[0]] * len(labels), covariates=levels_of(labels, levels))


NAMES, LEVELS = ("batch=b", "batch=c"), {"batch": ("a", "b", "c")}
DUMMIES = {"a": [0, 0], "b": [1, 0], "c": [0, 1]}


@pytest.mark.parametrize(
    ("labels", "levels"),
    [("abc", "abc"), ("cab", "cab"), ("bc", "bc"), ("bcb", "cb"), ("ac", "ac"), ("ccc", "c"), ("b", "ba")],
)
def test_dummies_do_not_depend_on_the_levels_of_the_new_cohort(labels, levels):
    found = align_covariates(labelled(labels, levels), NAMES, LEVELS)
    np.testing.assert_array_equal(found, [DUMMIES[label] for label in labels])


def test_unseen_level():
    message = r"covariate batch of sample i1 is z, which no training sample had \(a, b, c\)"
    for levels in ("azb", "zab"):  # as a dummy, and as the baseline
        with pytest.raises(InputError, match=message):
            align_covariates(labelled("azb", levels), NAMES, LEVELS)


def test_an_unseen_level_nobody_has_does_no_harm():
    found = align_covariates(labelled("ab", "abz"), NAMES, LEVELS)
    np.testing.assert_array_equal(found, [[0, 0], [1, 0]])


def test_numeric_covariates_by_name_in_the_order_of_the_model():
    covariates = Covariates(("pc2", "age", "pc1"), np.array([[2.0, 50, 1], [4, 60, 3]]))
    cohort = cohort_of(genotype_sites(1), [[0], [1]], covariates=covariates)
    np.testing.assert_array_equal(align_covariates(cohort, ("pc1", "pc2"), {}), [[1, 2], [3, 4]])
    assert align_covariates(cohort, (), {}).shape == (2, 0)


def test_missing_covariates():
    without = cohort_of(genotype_sites(1), [[0]])
    cure = "pass the covariate table with --covar"
    with pytest.raises(
        InputError, match=rf"covariate age of the model is missing \(none were given\); {cure}"
    ):
        align_covariates(without, ("age",), {})
    with pytest.raises(InputError, match=rf"covariate age of the model is missing \(there are pc1\); {cure}"):
        align_covariates(
            cohort_of(genotype_sites(1), [[0]], covariates=Covariates(("pc1",), np.ones((1, 1)))),
            ("age",),
            {},
        )
    # A categorical covariate of which no column was given is not all baseline.
    with pytest.raises(
        InputError, match=rf"covariate batch=b of the model is missing \(none were given\); {cure}"
    ):
        align_covariates(without, NAMES, LEVELS)
