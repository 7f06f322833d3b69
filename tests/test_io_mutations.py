"""Mutation strings: every spelling by hand, sequences by definition, and what contradicts the reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoattn.io.mutations import (
    MutationError,
    as_dna,
    check_variant,
    mutated,
    parse_symbols,
    parse_variant,
)

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


def plain(text):
    return [(one.wild, one.position, one.mutant) for one in parse_variant(text).changes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A24G", [("A", 24, "G")]),
        ("A24G:T30S", [("A", 24, "G"), ("T", 30, "S")]),
        ("T30S;A24G", [("T", 30, "S"), ("A", 24, "G")]),
        ("A24G,T30S", [("A", 24, "G"), ("T", 30, "S")]),
        ("A24G/T30S", [("A", 24, "G"), ("T", 30, "S")]),
        ("A24G+T30S", [("A", 24, "G"), ("T", 30, "S")]),
        ("A24G T30S", [("A", 24, "G"), ("T", 30, "S")]),
        ("a24g", [("A", 24, "G")]),
        ("p.Ala24Gly", [("A", 24, "G")]),
        ("p.(Ala24Gly)", [("A", 24, "G")]),
        ("p.[Ala24Gly;Thr30Ser]", [("A", 24, "G"), ("T", 30, "S")]),
        ("NP_009225.1:p.Ala24Gly", [("A", 24, "G")]),
        ("p.Ala24Ter", [("A", 24, "*")]),
        ("p.Trp24*", [("W", 24, "*")]),
        ("A24*", [("A", 24, "*")]),
        ("p.Ala24=", [("A", 24, "")]),
        ("A24=", [("A", 24, "")]),
        ("A24-", [("A", 24, "-")]),
        ("A24del", [("A", 24, "-")]),
        ("p.Ala24del", [("A", 24, "-")]),
        ("c.24A>G", [("A", 24, "G")]),
        ("24a>g:30t>c", [("A", 24, "G"), ("T", 30, "C")]),
        ("A24G:A24G", [("A", 24, "G")]),
        *((text, []) for text in ("WT", "wt", "_wt", "_sy", "=", "p.=", "p.(=)", "Wild-Type", "wild_type")),
    ],
)
def test_spellings(text, expected):
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A24", "'A24' is not a substitution; write A24G, p.Ala24Gly or 24A>G, and WT for the wild type"),
        ("24G", "'24G' is not a substitution"),
        ("Foo24Gly", "'Foo24Gly' is not a substitution"),
        ("Ala24Foo", "'Ala24Foo': Foo is no amino acid; write its three-letter code"),
        ("A24G:A24S", "A24G and A24S are at one position; write one mutation for each"),
        (":", "':' names no mutation; write WT for the wild type"),
    ],
)
def test_what_is_no_mutation(text, message):
    with pytest.raises(MutationError, match=message):
        parse_variant(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A4G", "A4G is outside the reference of 3 residues; number positions from the first residue"),
        ("A0G", "A0G is outside the reference of 3 residues"),
        ("C1G", "C1G, but the reference has A at position 1; check the reference and where its numbering"),
        ("A1J", "A1J: 'J' is not a letter of the protein alphabet"),
    ],
)
def test_what_contradicts_the_reference(text, message):
    with pytest.raises(MutationError, match=message):
        check_variant(parse_variant(text), "ACD", "protein")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p.Ala24_Gly26del", [("A", 24, "-"), ("", 25, "-"), ("G", 26, "-")]),
        ("p.Ala24_Gly25delinsTrpTer", [("A", 24, "W"), ("G", 25, "*")]),
        ("p.Ala24_Gly25=", [("A", 24, ""), ("G", 25, "")]),
        ("p.[(Ala24Gly);(Thr30Ser)]", [("A", 24, "G"), ("T", 30, "S")]),
        ("p.(Ala24=)", [("A", 24, "")]),
        ("p.Ala24Xaa", [("A", 24, "X")]),
        ("p.*24Gln", [("*", 24, "Q")]),
        ("p.A24G", [("A", 24, "G")]),
        ("c.76=", [("", 76, "")]),
        ("c.76A=", [("A", 76, "")]),
        ("c.[76A>C;83G>C]", [("A", 76, "C"), ("G", 83, "C")]),
        ("c.76_78delinsTTC", [("", 76, "T"), ("", 77, "T"), ("", 78, "C")]),
        ("c.76_77delTGinsAA", [("", 76, "A"), ("", 77, "A")]),
        ("c.76_77del", [("", 76, "-"), ("", 77, "-")]),
        ("c.76delA", [("", 76, "-")]),
        ("r.76a>u", [("A", 76, "U")]),
        ("NM_007294.4:c.76A>C", [("A", 76, "C")]),
        ("ENST00000357654.9(BRCA1):c.76A>C", [("A", 76, "C")]),
        ("p.Ala24Gly:p.Thr30Ser", [("A", 24, "G"), ("T", 30, "S")]),
        ("A24G:p.Thr30Ser", [("A", 24, "G"), ("T", 30, "S")]),
        ("TARGET:_wt", []),
    ],
)
def test_hgvs(text, expected):
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "target", "levels"),
    [
        ("TARGET:p.Ala24Gly", "TARGET", ["p"]),
        ("NP_009225.1:p.(=)", "NP_009225.1", []),
        ("c.[76A>C;83=]", "", ["c", "c"]),
        ("Ala24Gly", "", ["p"]),
        ("24A>G", "", ["n"]),
        ("A24G", "", [""]),
    ],
)
def test_levels_and_targets(text, target, levels):
    variant = parse_variant(text)
    assert variant.target == target
    assert [one.level for one in variant.changes] == levels


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("p.Ala24fs", "a frameshift"),
        ("p.Ala24GlyfsTer5", "a frameshift"),
        ("p.Arg97ProfsTer?", "a frameshift"),
        ("p.[Ala24Gly;Thr30fs]", "a frameshift"),
        ("p.Ter110GlnextTer17", "an extension"),
        ("p.Met1ext-5", "an extension"),
        ("p.?", "uncertain"),
        ("p.Met1?", "uncertain"),
        ("p.0", "uncertain"),
        ("p.(Ala24Gly^Ser)", "uncertain"),
        ("c.76A>C(;)83G>C", "uncertain"),
        ("c.(76_77)del", "uncertain"),
        ("p.Ala24dup", "a duplication"),
        ("p.Ala24_Gly25insTrp", "an insertion"),
        ("p.Ala24delinsTrpVal", "an insertion"),
        ("c.76_77insT", "an insertion"),
        ("c.76_78delinsT", "an insertion"),
        ("c.76_78inv", "an inversion"),
        ("p.[Ala24Gly];[Thr30Ser]", "of two chromosomes"),
        ("c.88+1G>A", "outside the coding sequence (intron)"),
        ("c.89-2A>C", "outside the coding sequence (intron)"),
        ("c.-14G>C", "outside the coding sequence (untranslated)"),
        ("c.*4G>A", "outside the coding sequence (untranslated)"),
    ],
)
def test_what_no_sequence_of_the_same_length_can_be(text, reason):
    with pytest.raises(
        MutationError, match=r"is .* no sequence of the reference's length; leave it"
    ) as caught:
        parse_variant(text)
    assert caught.value.reason == reason
    assert not caught.value.doubtful


@pytest.mark.parametrize(
    "text", ["p.Ala24_Gly25Trp", "p.Gly26_Ala24del", "c.A24G", "c.76A>", "p.24A>G", "1_9"]
)
def test_malformed_hgvs(text):
    with pytest.raises(MutationError, match="write") as caught:
        parse_variant(text)
    assert caught.value.reason == "not a mutation"
    assert caught.value.doubtful


def test_symbols():
    found = [(one.wild, one.position, one.mutant) for one in parse_symbols("0121:a2B").changes]
    assert found == [("0", 12, "1"), ("a", 2, "B")]
    assert parse_symbols("WT").changes == ()
    with pytest.raises(MutationError, match="'01' is not a substitution; write 0121 for 1 in place of 0"):
        parse_symbols("01")


def test_rna_is_spelled_as_its_reference():
    variant = parse_variant("r.2u>a")
    check_variant(as_dna(variant, "ATG"), "ATG", "dna")
    check_variant(as_dna(variant, "AUG"), "AUG", "dna")
    with pytest.raises(MutationError, match="the reference has T at position 2"):
        check_variant(variant, "ATG", "dna")


@given(
    st.text(AMINO_ACIDS, min_size=1, max_size=8).flatmap(
        lambda wild: st.tuples(
            st.just(wild), st.lists(st.text(AMINO_ACIDS, min_size=len(wild), max_size=len(wild)))
        )
    )
)
def test_strings_of_sequences_give_the_sequences_back(case):
    """Write the differences of random sequences from the wild type as strings, and read them."""
    wild, sequences = case
    texts = [
        ":".join(f"{a}{i}{b}" for i, (a, b) in enumerate(zip(wild, s, strict=True), 1) if a != b) or "WT"
        for s in sequences
    ]
    variants = [parse_variant(text) for text in texts]
    for variant in variants:
        check_variant(variant, wild, "protein")
    letters = mutated(np.frombuffer(wild.encode(), dtype=np.uint8), variants)
    assert [bytes(row).decode() for row in letters] == sequences
