"""New sequences for a model: its length, its alphabet, its states by letter, whoever else is in the file."""

from __future__ import annotations

import numpy as np
import pytest
from vcf_files import write_text

from genoattn.cohort import AlignmentFrame, Sites
from genoattn.errors import InputError
from genoattn.io import read
from genoattn.tokens.align import align_calls

TRAINING = ("MKVAL", "MRVAL", "MKWAL", "CRWAI")


def aligned(tmp_path, *sequences, name="x.fa", **options):
    text = "".join(f">r{i}\n{sequence}\n" for i, sequence in enumerate(sequences, start=1))
    return read(write_text(tmp_path / name, text), filters=False, **options)


def model_sites(tmp_path, *sequences, **options):
    """Sites of a model: the columns that vary in training."""
    cohort = aligned(tmp_path, *sequences, **options)
    varies = [len(states) > 1 for states in cohort.sites.states]
    return cohort.sites.select(np.array(varies))


def expect(message, cohort, sites):
    with pytest.raises(InputError, match=message) as caught:
        align_calls(cohort, sites)
    assert "\n" not in str(caught.value)


def test_the_frame_of_an_alignment(tmp_path):
    sites = model_sites(tmp_path, *TRAINING)
    assert sites.frame == AlignmentFrame("protein", "MKVAL")
    assert len(sites) == 4


@pytest.mark.parametrize("sequence", ["MKVA", "MKVALM", "M", "MMKVAL", "MKVALMKVAL"])
def test_another_length(tmp_path, sequence):
    sites = model_sites(tmp_path, *TRAINING)
    message = (
        rf"x.fa: {len(sequence)} columns, but the model was fitted to an alignment of 5; align to the same"
    )
    expect(message, aligned(tmp_path, sequence, alphabet="protein"), sites)


def test_another_length_of_mutation_strings(tmp_path):
    sites = model_sites(tmp_path, *TRAINING)
    wild = write_text(tmp_path / "wt.fa", ">w\nMMKVAL\n")
    table = write_text(tmp_path / "t.csv", "m\nWT\nK3R\n")
    expect(
        r"t.csv: 6 columns, but the model was fitted to an alignment of 5",
        read(table, mutation_column="m", reference=wild, filters=False),
        sites,
    )


def test_states_follow_their_letters_whoever_is_first(tmp_path):
    sites = model_sites(tmp_path, *TRAINING)
    together = align_calls(aligned(tmp_path, *TRAINING), sites)
    for i, sequence in enumerate(TRAINING):
        alone = align_calls(aligned(tmp_path, sequence, alphabet="protein"), sites)
        np.testing.assert_array_equal(alone, together[[i]])
        last = align_calls(aligned(tmp_path, "CRWAI", sequence, alphabet="protein"), sites)
        np.testing.assert_array_equal(last[[1]], together[[i]])


def test_insertions_of_others_change_nothing(tmp_path):
    sites = model_sites(tmp_path, *TRAINING)
    alone = align_calls(aligned(tmp_path, "MR.VAL", name="x.a2m", alphabet="protein"), sites)
    with_another = aligned(tmp_path, "MR..VAL", "MKggVAL", name="x.a2m", alphabet="protein")
    np.testing.assert_array_equal(align_calls(with_another, sites)[[0]], alone)


def test_unseen_states_name_the_sample(tmp_path):
    sites = model_sites(tmp_path, *TRAINING)
    expect(
        r"x.fa: r2 has E at column 2, which no training sample had \(K, R\); write X where it should count",
        aligned(tmp_path, "MKVAL", "MEVAL"),
        sites,
    )
    dna = model_sites(tmp_path, "ACG", "CCA")
    expect(r"r1 has T at column 1, .* \(A, C\); write N where it should", aligned(tmp_path, "TCG"), dna)


def test_unseen_states_at_many_columns_are_another_numbering(tmp_path):
    sites = model_sites(tmp_path, *TRAINING)
    shifted = aligned(tmp_path, *(sequence[1:] + "M" for sequence in TRAINING))
    message = (
        r"r1 has K at column 1, which no training sample had, and so at 4 of the model's 4 columns; "
        "check that the sequences are aligned and numbered as in training"
    )
    expect(message, shifted, sites)


@pytest.mark.parametrize(
    ("model", "training", "own", "sequence"),
    [
        ("protein", ("ANGT", "ATNG"), "dna", "ANGT"),
        ("dna", ("ACGT", "CCGA"), "protein", "ACGT"),
        ("diploid", ("ACGR", "CCGA"), "dna", "ACGR"),
        ("dna", ("ACGT", "CCGA"), "diploid", "ACGA"),
        ("symbols", ("AaBb", "aABb"), "protein", "AAAA"),
        ("dna", ("ACGT", "CCGA"), "symbols", "ACGT"),
    ],
)
def test_another_alphabet(tmp_path, model, training, own, sequence):
    sites = model_sites(tmp_path, *training, alphabet=model)
    expect(
        rf"x.fa: sequences read as {own}, but those of the model as {model}; give alphabet {model}$",
        aligned(tmp_path, sequence, alphabet=own),
        sites,
    )


def test_letters_that_mean_the_same_in_both_alphabets(tmp_path):
    sites = model_sites(tmp_path, "ANGT", "ATNG", alphabet="protein")
    guessed = aligned(tmp_path, "ATGT")
    assert guessed.sites.frame == AlignmentFrame("dna", "ATGT")
    np.testing.assert_array_equal(align_calls(guessed, sites), [[1, 0, 0]])


CONSTANT = "ACDEFGHIKL"


@pytest.mark.parametrize("others", [(), ("MK" + CONSTANT,), ("CK" + CONSTANT, "MX" + CONSTANT)])
def test_residues_that_no_column_of_the_model_knows_are_told(tmp_path, caplog, others):
    sites = model_sites(tmp_path, "MK" + CONSTANT, "CK" + CONSTANT)
    cohort = aligned(tmp_path, "MKAWDEFGHIKV", *others, alphabet="protein")
    assert align_calls(cohort, sites)[0].tolist() == [0]
    names = [str(cohort.sites.ids[k]) for k in (3, 11)]
    assert caplog.messages == [
        f"{tmp_path / 'x.fa'}: 1 samples differ from the consensus of the training at 2 columns that "
        f"the model does not use ({', '.join(names)}); it ignores them"
    ]


def test_a_sample_of_another_numbering(tmp_path, caplog):
    sites = model_sites(tmp_path, "MK" + CONSTANT, "CK" + CONSTANT)
    cohort = aligned(tmp_path, "MK" + CONSTANT, "C" + CONSTANT + "M", "MX" + CONSTANT)
    message = (
        r"x.fa: r2 differs from the consensus of the training at 11 of 11 columns that hardly varied there; "
        "check that the sequences are aligned and numbered"
    )
    expect(message, cohort, sites)
    assert align_calls(cohort.select_samples(np.array([0, 2])), sites).tolist() == [[0], [0]]
    assert caplog.messages == []


def test_sites_of_an_earlier_version_have_no_frame(tmp_path):
    new = model_sites(tmp_path, *TRAINING)
    old = Sites(new.ids, new.chrom, new.pos, new.ref, new.alt, new.states)
    cohort = aligned(tmp_path, *TRAINING)
    np.testing.assert_array_equal(align_calls(cohort, old), align_calls(cohort, new))
