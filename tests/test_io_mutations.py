"""Mutation strings: every spelling by hand, sequences by definition, and what contradicts the reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoattn.io.alignment import allowed_letters
from genoattn.io.mutations import MutationError, check_variant, mutated, parse_variant

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


def plain(text):
    return [(one.wild, one.position, one.mutant) for one in parse_variant(text)]


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
        ("p.Ala24=", [("A", 24, "A")]),
        ("A24=", [("A", 24, "A")]),
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
        ("Ala24_Gly26del", "'Ala24_Gly26del' is not a substitution"),
        ("p.Ala24fs", "'Ala24fs' is not a substitution"),
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
        check_variant(parse_variant(text), "ACD", allowed_letters("protein"), "protein")


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
        check_variant(variant, wild, allowed_letters("protein"), "protein")
    letters = mutated(np.frombuffer(wild.encode(), dtype=np.uint8), variants)
    assert [bytes(row).decode() for row in letters] == sequences
