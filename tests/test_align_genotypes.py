"""Calls of new samples at the sites of a model: from their own records, whoever else is in the file."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vcf_files import record, write_text, write_vcf

from genoattn.cohort import Sites
from genoattn.errors import InputError
from genoattn.io import read
from genoattn.tokens.align import align_calls
from genoattn.tokens.record_alleles import same_chromosomes

MISSING = {1: (".", "./.", ".|."), 2: ("./.", ".", "0/.")}


def model_sites(*rows):
    """Diploid sites of rows (ref, alt), at 1:100, 1:200, ..; a row may name its place first."""
    full = [row if len(row) == 3 else (100 * (k + 1), *row) for k, row in enumerate(rows)]
    states = tuple((f"{r}/{r}", f"{r}/{a}", f"{a}/{a}") for _, r, a in full)
    ids = [
        f"rs{pos // 100}" if len(rows[k]) == 2 else f"rs{pos // 100}:{a}"
        for k, (pos, _, a) in enumerate(full)
    ]
    pos, ref, alt = zip(*full, strict=True)
    return Sites(ids, ["1"] * len(full), pos, ref, alt, states)


def new_calls(folder, records, sites, **how):
    """Calls of a new VCF at the sites of a model, by sample."""
    samples = [f"s{k}" for k in range(records[0].count("\t") - 8)]
    cohort = read(write_vcf(folder / "new.vcf", samples, records), filters=False)
    return align_calls(cohort, sites, **how).tolist()


@pytest.mark.parametrize(
    ("ref", "alt", "genotypes", "model", "copies"),
    [
        ("A", ".", ["0/0", "./.", "0"], ("A", "G"), [0, -1, 0]),
        ("A", "<*>", ["0/0", "./.", "0/0"], ("A", "G"), [0, -1, 0]),
        ("A", "<NON_REF>", ["0/0", "0/.", "0/0"], ("A", "G"), [0, -1, 0]),
        ("A", "*", ["0/0", "0/1", "./."], ("A", "G"), [0, 0, -1]),
        ("G", ".", ["0/0", "./.", "0/0"], ("A", "G"), [2, -1, 2]),  # all carry the effect allele
        ("AT", ".", ["0/0", "./.", "0/0"], ("AT", "A"), [0, -1, 0]),
        ("A", ".", ["0/0", "./.", "0/0"], ("A", "AT"), [0, -1, 0]),
        ("A", "G,T", ["0/1", "1/2", "2/2"], ("A", "G"), [1, 1, 0]),
        ("A", "G,<NON_REF>", ["0/1", "1/1", "0/0"], ("A", "G"), [1, 2, 0]),
        (
            "G",
            "A,T",
            ["0/1", "1/2", "2/2"],
            ("A", "G"),
            [1, 0, 0],
        ),  # T/T has no copy of G, turned round or not
        ("G", "A,T", ["0/0", "0/2", "./2"], ("A", "G"), [2, 1, -1]),
    ],
)
def test_records_that_list_other_alleles_than_the_model(tmp_path, ref, alt, genotypes, model, copies):
    found = new_calls(tmp_path, [record(genotypes, ref=ref, alt=alt)], model_sites(model))
    assert found == [[c] for c in copies]


@pytest.mark.parametrize(
    ("ref", "alt", "model", "listed"),
    [
        ("A", "C", ("A", "G"), "A/C"),
        ("T", "C", ("A", "G"), "T/C"),  # the other strand
        ("A", ".", ("AT", "A"), r"A/\."),  # the first base of a deletion is no deletion
        ("C", ".", ("A", "G"), r"C/\."),
        ("A", "C,T", ("A", "G"), "A/C/T"),
        ("T", "G", ("A", "G"), "T/G"),
    ],
)
def test_alleles_that_contradict_are_both_named(tmp_path, ref, alt, model, listed):
    message = (
        rf"rs1 \(1:100\) has the alleles {'/'.join(model)} in the model and {listed} in the file, one of 1"
    )
    with pytest.raises(InputError, match=message):
        new_calls(tmp_path, [record(["0/0"], ref=ref, alt=alt)], model_sites(model))


def test_an_allele_of_a_site_with_several_that_no_new_sample_has(tmp_path):
    sites = model_sites((100, "A", "G"), (100, "A", "T"))
    assert new_calls(tmp_path, [record(["0/1", "1/1"], alt="G")], sites) == [[1, 0], [2, 0]]
    assert new_calls(tmp_path, [record(["0/1", "1/1"], ref="T", alt="G")], sites) == [[1, 1], [2, 0]]
    assert new_calls(tmp_path, [record(["0/0", "./."], alt=".")], sites) == [[0, 0], [-1, -1]]


def test_records_split_by_allele_count_as_one(tmp_path):
    # What bcftools norm -m- makes of G>A,T: 0/0, 1/2 and 0/2, one line an allele.
    split = [record(["0/0", "0/1", "0/0"], ref="G", alt="A"), record(["0/0", "0/1", "0/1"], ref="G", alt="T")]
    assert new_calls(tmp_path, split, model_sites(("A", "G"))) == [[2], [0], [1]]
    # Of males and females, one line with haploid calls alone.
    split = [record(["0", "./."], ref="G", alt="A"), record(["1", "0/1"], ref="G", alt="T")]
    assert new_calls(tmp_path, split, model_sites(("A", "G"))) == [[0], [-1]]


def test_records_that_together_have_more_copies_than_chromosomes(tmp_path):
    both = [record(["1/1"], ref="G", alt="A"), record(["1/1"], ref="G", alt="T")]
    message = "sample s0 has more copies of A, T together than chromosomes at rs1; correct its records"
    with pytest.raises(InputError, match=message):
        new_calls(tmp_path, both, model_sites(("A", "G")))


def test_a_record_that_is_there_again_with_other_calls(tmp_path):
    twice = [record(["0/1", "0/0", "0/0"], alt="G"), record(["1/1", "0/0", "0/1"], alt="G")]
    samples = ["s0", "s1", "s2"]
    model = read(write_vcf(tmp_path / "all.vcf", samples, twice), filters=False)
    assert model.n_sites == 2
    assert new_calls(tmp_path, twice, model.sites) == model.calls.tolist()
    alone = [record(["0/0"], alt="G")] * 2  # of this sample the records agree, and one is read
    assert new_calls(tmp_path, alone, model.sites) == [[0, 0]]
    message = "2 records of rs1 have different calls, and the model has 1 of it; keep one of them"
    with pytest.raises(InputError, match=message):
        new_calls(tmp_path, twice, model_sites(("A", "G")))


def test_sites_without_a_position_match_by_id(tmp_path):
    lines = [record([g], chrom="0", pos=0, name=f"snp{k}", alt="G") for k, g in enumerate(["0/1", "1/1"])]
    model = read(write_vcf(tmp_path / "all.vcf", ["s"], lines), filters=False)
    assert new_calls(tmp_path, lines[::-1], model.sites) == [[1, 2]]


@pytest.mark.parametrize(
    ("a1", "a2", "byte", "copies"),
    [
        ("0", "A", 0b110111, [2, -1, 2]),  # A2 is the model's alternate allele: all copies
        ("0", "G", 0b110111, [0, -1, 0]),
        (".", "G", 0b110111, [0, -1, 0]),
        ("A", "0", 0b000100, [2, -1, 2]),
        ("G", "0", 0b000100, [0, -1, 0]),
    ],
)
def test_plink_files_of_samples_that_do_not_vary(tmp_path, a1, a2, byte, copies):
    (tmp_path / "new.bed").write_bytes(b"\x6c\x1b\x01" + bytes([byte]))
    write_text(tmp_path / "new.bim", f"1\trs1\t0\t100\t{a1}\t{a2}\n")
    write_text(tmp_path / "new.fam", "".join(f"0 s{k} 0 0 0 -9\n" for k in range(3)))
    cohort = read(tmp_path / "new.bed", filters=False)
    assert align_calls(cohort, model_sites(("G", "A"))).tolist() == [[c] for c in copies]


def test_how_sites_matched_is_counted(tmp_path, caplog):
    rows = [("A", "G"), ("A", "G"), ("A", "G"), ("A", "G")]
    records = [
        record(["0/1"], chrom="chr1", pos=100, alt="G"),
        record(["0/1"], chrom="chr1", pos=200, ref="G", alt="A"),
        record(["0/0"], chrom="chr1", pos=300, alt="."),
        record(["2/2"], chrom="chr1", pos=400, alt="G,T"),
    ]
    with caplog.at_level(logging.INFO, "genoattn"):
        assert new_calls(tmp_path, records, model_sites(*rows)) == [[1, 1, 0, 0]]
    assert [m.split(": ", 1)[1] for m in caplog.messages] == [
        "4 sites of the model matched by position; 1 with reference and effect allele swapped, turned round; "
        "1 where the file lists no such allele, counted by the alleles that it lists; "
        "1 with further alleles, which are no copies of the effect allele; "
        "4 of chromosomes whose names differ by the prefix chr"
    ]


@pytest.mark.parametrize(
    ("own", "model", "same"),
    [
        (["chr1", "chrX"], ["1", "X"], {"chr1": "1", "chrX": "X"}),
        (["1", "2"], ["Chr1", "Chr2"], {"1": "Chr1", "2": "Chr2"}),
        (["1", "chr1"], ["1"], {"1": "1", "chr1": "chr1"}),  # two names, which may be two sequences
        (["CHR1"], ["1", "chr1"], {"CHR1": "CHR1"}),
        (["chrM"], ["MT"], {"chrM": "chrM"}),  # of hg19 these are two sequences
        (["23"], ["X"], {"23": "23"}),
    ],
)
def test_names_of_chromosomes_that_are_the_same(own, model, same):
    assert same_chromosomes(own, model) == same


def test_ids_match_where_that_is_asked_for(tmp_path, caplog):
    sites = model_sites(("A", "G"), (200, "A", "G"), (200, "A", "T"))
    moved = [
        record(["0/1"], pos=777, name="rs1", ref="G", alt="A"),
        record(["1/2"], pos=900, name="rs2", alt="T,G"),
    ]
    with pytest.raises(
        InputError,
        match="0 of the model's 3 sites match by position, 3 by ID; if the build changed use --match-by",
    ):
        new_calls(tmp_path, moved, sites)
    with caplog.at_level(logging.INFO, "genoattn"):
        assert new_calls(tmp_path, moved, sites, match_by="id") == [[1, 1, 1]]
    assert caplog.messages[-1].endswith(
        "matched by ID; 1 with reference and effect allele swapped, turned round; 3 at another position"
    )
    message = r"1 of the model's 3 sites are not there by ID \(rs1\)"
    with pytest.raises(InputError, match=message):
        new_calls(tmp_path, [record(["0/1"], pos=100, alt="G"), moved[1]], sites, match_by="id")
    with pytest.raises(InputError, match="match_by is 'name'; choose one of position, id"):
        new_calls(tmp_path, moved, sites, match_by="name")


def test_a_name_made_of_a_position_is_no_id(tmp_path):
    one = model_sites(("A", "G"))
    unnamed = Sites(["1:100:A:G"], one.chrom, one.pos, one.ref, one.alt, one.states)
    with pytest.raises(InputError, match=r"1 of the model's 1 sites are not there by ID \(1:100:A:G\)"):
        new_calls(tmp_path, [record(["0/1"], alt="G")], unnamed, match_by="id")


@st.composite
def genotyped(draw):
    """Samples with and without Y, and records (alleles, genotypes as tuples of alleles, None if missing)."""
    male = draw(st.lists(st.booleans(), min_size=2, max_size=5))
    records = []
    for _ in range(draw(st.integers(1, 4))):
        alleles = draw(st.permutations("ACGT"))[: draw(st.integers(2, 4))]
        place = draw(st.sampled_from(["autosome", "x", "haploid"]))
        genotypes = []
        for is_male in male:
            ploidy = 1 if place == "haploid" or (place == "x" and is_male) else 2
            called = st.tuples(*[st.sampled_from(alleles)] * ploidy)
            genotypes.append((ploidy, draw(st.one_of(st.none(), called))))
        records.append((alleles, genotypes))
    return records


def written(draw, records, index, as_it_was):
    """Lines of a VCF of the samples at ``index``, whose records list alleles as another tool may have."""
    lines = []
    for k, (alleles, genotypes) in enumerate(records):
        chosen = [genotypes[i] for i in index]
        listed = list(alleles)
        if not as_it_was:
            carried = {a for _, called in chosen for a in called or ()}
            if draw(st.booleans()):  # alleles that none of the samples has are trimmed
                listed = [a for a in alleles if a in carried or a == alleles[0]]
            if draw(st.booleans()) and (carried or len(listed) > 1):  # another allele is the reference
                listed = draw(st.permutations(sorted(carried | set(listed[1:]))))
        texts = [
            draw(st.sampled_from(MISSING[ploidy]))
            if called is None
            else draw(st.sampled_from("/|")).join(str(listed.index(a)) for a in called)
            for ploidy, called in chosen
        ]
        alt = ",".join(listed[1:]) or "."
        lines.append(record(texts, pos=10 * (k + 1), name=f"rs{k}", ref=listed[0], alt=alt))
    return lines


@pytest.mark.parametrize("haploid", ["double", "as-is"])
def test_calls_depend_on_the_sample_alone(tmp_path, haploid):
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def check(data):
        records = data.draw(genotyped())
        n = len(records[0][1])
        everyone = write_vcf(
            tmp_path / "all.vcf", [f"s{i}" for i in range(n)], written(data.draw, records, range(n), True)
        )
        model = read(everyone, filters=False, haploid=haploid)
        index = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1)))
        new = write_vcf(
            tmp_path / "new.vcf", [f"s{i}" for i in index], written(data.draw, records, index, False)
        )
        cohort = read(new, filters=False, haploid=haploid)
        np.testing.assert_array_equal(align_calls(cohort, model.sites, haploid), model.calls[index])

    check()
