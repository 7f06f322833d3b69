"""The command line on sequences: a model's alphabet, symbols, heterozygotes, rows that cannot be used."""

from __future__ import annotations

import io
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_files import run_in_process
from vcf_files import write_text

import genoattn

CASE = Path(__file__).parent / "cases" / "alphabet-guessed"
QUICK = ("--epochs", "2", "--order", "2", "--device", "cpu", "--threads", "1")


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(arguments, capsys)


def predictions(done):
    """Of each sample, as text."""
    assert (done.status, done.err) == (0, "")
    rows = [line.split("\t")[:2] for line in done.out.splitlines()[1:]]
    return dict(rows)


@pytest.fixture
def library(cli, tmp_path):
    """The model of a protein library of A, C, G, N and T."""
    how = (
        CASE / "library.csv",
        "--sequence-column",
        "sequence",
        "--trait",
        "fitness",
        "--alphabet",
        "protein",
    )
    done = cli("fit", *how, "-o", tmp_path / "m", *QUICK)
    assert done.status == 0
    return tmp_path / "m"


def test_the_guess_is_on_stderr(cli, tmp_path):
    how = (CASE / "library.csv", "--sequence-column", "sequence", "--trait", "fitness", *QUICK)
    done = cli("fit", *how, "-o", tmp_path / "a")
    assert f"{CASE / 'library.csv'}: read as dna: all letters are codes of nucleotides, and 32 N" in done.err
    assert "give --alphabet protein" in done.err
    done = cli("fit", CASE / "snps.fa", "--pheno", CASE / "y.tsv", "-o", tmp_path / "b", *QUICK)
    assert done.status == 0
    assert "3 IUPAC codes (1 M, 1 R, 1 Y) are missing" in done.err


def test_the_alphabet_is_the_models_whoever_is_in_the_file(cli, library, tmp_path):
    together = predictions(
        cli("predict", library, CASE / "library.csv", "--sequence-column", "sequence", "--quiet")
    )
    assert len(set(together.values())) > 8
    for sequence in ("ANGTC", "ATGTC", "GTATA"):
        alone = write_text(tmp_path / "one.fa", f">{sequence}\n{sequence}\n")
        found = predictions(cli("predict", library, alone, "--quiet"))
        assert {k: float(v) for k, v in found.items()} == {sequence: pytest.approx(float(together[sequence]))}


def test_sequences_of_python_are_read_as_the_models(library, tmp_path, caplog):
    model = genoattn.load_model(library)
    assert model.alphabet == "protein"
    path = write_text(tmp_path / "new.fa", ">a\nANGTC\n>b\nATGTC\n")
    with pytest.raises(genoattn.InputError, match="sequences read as dna, but those of the model as protein"):
        model.predict(genoattn.read(path, filters=False))
    caplog.clear()
    found = model.predict(genoattn.read(path, filters=False, alphabet=model.alphabet))
    assert found[0] != found[1]
    assert caplog.messages == []


@pytest.mark.parametrize("sequence", ["ANGT", "ANGTCA"])
def test_another_length_is_refused(cli, library, tmp_path, sequence):
    new = write_text(tmp_path / "new.fa", f">a\n{sequence}\n")
    done = cli("predict", library, new)
    assert done.status == 2
    message = (
        f"{len(sequence)} columns, but the model was fitted to an alignment of 5; align to the same columns"
    )
    assert done.err.splitlines()[-1] == f"genoattn predict: error: {new}: {message}"


def test_an_unseen_residue_names_the_sample(cli, library, tmp_path):
    done = cli("predict", library, write_text(tmp_path / "new.fa", ">a\nANGTC\n>b\nANGWC\n"))
    assert done.status == 2
    assert "b has W at column 4, which no training sample had (T, N); write X where it should" in done.err


@pytest.fixture
def symbols(cli, tmp_path):
    """A table of genotypes as strings, and the model of it."""
    rng = np.random.default_rng(0)
    strings = ["".join(one) for one in product("01", repeat=5)]
    y = [one.count("1") + 3 * one.startswith("11") + rng.normal(0, 0.1) for one in strings]
    pd.DataFrame({"g": strings, "y": np.round(y, 3)}).to_csv(tmp_path / "t.csv", index=False)
    how = ("--sequence-column", "g", "--trait", "y", "--alphabet", "symbols")
    assert cli("fit", tmp_path / "t.csv", *how, "-o", tmp_path / "m", *QUICK).status == 0
    return tmp_path


def test_symbols(cli, symbols):
    model, table = symbols / "m", symbols / "t.csv"
    found = predictions(cli("predict", model, table, "--sequence-column", "g", "--quiet"))
    assert list(found)[:3] == ["00000", "00001", "00010"]
    fasta = write_text(symbols / "x.fa", "".join(f">{one}\n{one}\n" for one in found))
    assert predictions(cli("predict", model, fasta, "--quiet")) == found
    frame = genoattn.load_interactions(model / "interactions.tsv").frame
    assert set(frame["site_1"].dropna()) <= {"", *(f"column{i}" for i in range(1, 6))}
    assert set(frame.loc[frame["order"] == 1, "state_1"]) <= {"0", "1"}
    # Suggestions are mutation strings that predict reads back.
    wild = write_text(symbols / "wt.fa", ">wt\n00000\n")
    how = ("--measured", table, "--sequence-column", "g", "--top", "4", "--quiet")
    best = pd.read_csv(io.StringIO(cli("suggest", model, *how).out), sep="\t", dtype={"mutations": str})
    assert set(best["measured"]) == {"yes"}
    assert best["mutations"][0] == "011:021"
    best[["mutations"]].to_csv(symbols / "best.csv", index=False)
    how = ("--mutation-column", "mutations", "--reference", wild, "--quiet")
    again = predictions(cli("predict", model, symbols / "best.csv", *how))
    np.testing.assert_allclose([float(v) for v in again.values()], best["prediction"], atol=1e-4)


def test_heterozygotes(cli, tmp_path):
    rng = np.random.default_rng(1)
    sequences = ["".join(rng.choice(list("ARG"), 4)) for _ in range(60)]
    fasta = write_text(tmp_path / "x.fa", "".join(f">s{i}\n{s}\n" for i, s in enumerate(sequences)))
    rows = "".join(f"s{i}\t{s.count('R') + rng.normal(0, 0.1):.3f}\n" for i, s in enumerate(sequences))
    pheno = write_text(tmp_path / "y.tsv", f"IID\ty\n{rows}")
    done = cli("fit", fasta, "--pheno", pheno, "--alphabet", "diploid", "-o", tmp_path / "m", *QUICK)
    assert "diploid alignment, reference s0" in done.err
    new = write_text(tmp_path / "new.fna", ">a\nRRRR\n>b\nAAAA\n")
    found = predictions(cli("predict", tmp_path / "m", new, "--quiet"))
    assert float(found["a"]) > float(found["b"]) + 1
    done = cli("predict", tmp_path / "m", new, "--alphabet", "dna")
    assert "sequences read as dna, but those of the model as diploid; give alphabet diploid" in done.err


def test_rows_left_out_and_strict(cli, tmp_path):
    wild = write_text(tmp_path / "wt.faa", ">wt\nMKTA\n")
    changes = [
        "_wt",
        *(f"p.{a}{i}{b}" for a, i in (("Met", 1), ("Lys", 2), ("Thr", 3)) for b in ("Ala", "Val", "Ser")),
    ]
    pairs = [
        f"p.[Met1{a};{k}{b}]" for k in ("Lys2", "Thr3") for a in ("Ala", "Val") for b in ("Ala", "Val", "Ser")
    ]
    cells = [*changes, *pairs, "p.Lys2fs", "NA"]
    rows = "".join(f"{cell},{i}\n" for i, cell in enumerate(cells))
    table = write_text(tmp_path / "scores.csv", f"# Accession: urn:mavedb:1\nhgvs_pro,score\n{rows}")
    how = ("--mutation-column", "hgvs_pro", "--reference", wild, "--trait", "score", *QUICK)
    done = cli("fit", table, *how, "-o", tmp_path / "m")
    assert done.status == 0
    assert "left out 2 of 24 rows: 1 without a mutation (first: row 24, NA), 1 a frameshift" in done.err
    done = cli("fit", table, *how, "--strict", "-o", tmp_path / "n")
    assert done.status == 2
    assert done.err.splitlines()[-1].startswith(
        f"genoattn fit: error: {table}: row 24 (NA): no mutation; write WT"
    )
    assert not (tmp_path / "n").exists()
