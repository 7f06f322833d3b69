"""The command line on tables of variants: fit and predict take the same forms, and agree with a FASTA."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_files import run_in_process
from vcf_files import write_text

WILD = "MKVLA"


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(arguments, capsys)


@pytest.fixture
def files(tmp_path):
    """A FASTA and its table, the same as one table, the wild type, all of 60 variants."""
    rng = np.random.default_rng(0)
    letters = [[w, *"CD"] for w in WILD]
    sequences = ["".join(rng.choice(states) for states in letters) for _ in range(200)]
    sequences = list(dict.fromkeys([WILD, *sequences]))[:60]
    mutations = [
        ":".join(f"{w}{i}{s}" for i, (w, s) in enumerate(zip(WILD, seq, strict=True), 1) if w != s) or "WT"
        for seq in sequences
    ]
    y = rng.normal(size=len(sequences)).round(4)
    v = rng.uniform(0.1, 1, size=len(sequences)).round(4)
    names = [f"v{i}" for i in range(len(sequences))]
    frame = pd.DataFrame({"IID": names, "seq": sequences, "mut": mutations, "y": y, "v": v})
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    frame[["IID", "y", "v"]].to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    write_text(tmp_path / "x.fa", "".join(f">{k}\n{s}\n" for k, s in zip(names, sequences, strict=True)))
    write_text(tmp_path / "wt.fa", f">wild\n{WILD}\n")
    return tmp_path


QUICK = ("--trait", "y", "--epochs", "2", "--quiet", "--order", "2", "--device", "cpu", "--threads", "1")


def test_three_forms_give_one_model(cli, files):
    t, wt = files / "t.tsv", files / "wt.fa"
    forms = {
        "aligned": (files / "x.fa", "--pheno", files / "p.tsv", "--wild-type", "v0"),
        "sequences": (t, "--sequence-column", "seq"),
        "mutations": (t, "--mutation-column", "mut", "--reference", wt),
    }
    predictions = {}
    for name, arguments in forms.items():
        assert cli("fit", *arguments, "-o", files / name, *QUICK).err == ""
        options = [a for a in arguments[1:] if name != "aligned"]
        done = cli("predict", files / "aligned", arguments[0], *options, "--quiet")
        assert (done.status, done.err) == (0, "")
        predictions[name] = done.out
        tables = [(files / f / "interactions.tsv").read_text() for f in ("aligned", name)]
        assert tables[0] == tables[1]
    assert len(set(predictions.values())) == 1
    assert len(predictions["aligned"].splitlines()) == 61
    manifest = json.loads((files / "mutations" / "manifest.json").read_text())
    assert set(manifest["inputs"]) == {"genotypes", "phenotypes", "reference"}


def test_new_variants_by_their_mutations(cli, files):
    assert cli("fit", files / "t.tsv", "--sequence-column", "seq", "-o", files / "m", *QUICK).status == 0
    new = write_text(files / "new.csv", "hgvs\np.Lys2Cys\nWT\nM1C:L4D\n")
    how = ("--mutation-column", "hgvs", "--reference", files / "wt.fa")
    done = cli("predict", files / "m", new, *how, "--quiet")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[0] for row in rows] == ["IID", "p.Lys2Cys", "WT", "M1C:L4D"]
    sequences = write_text(files / "new.fa", ">a\nMCVLA\n>b\nMKVLA\n>c\nCKVDA\n")
    aligned = cli("predict", files / "m", sequences, "--quiet").out
    assert [row[1] for row in rows] == [line.split("\t")[1] for line in aligned.splitlines()]


def test_measurement_options(cli, files):
    t = files / "t.tsv"
    few = ("--trait", "y", "--epochs", "1", "--device", "cpu", "--threads", "1")
    done = cli("fit", t, "--sequence-column", "seq", "--variance-column", "v", "-o", files / "a", *few)
    assert done.status == 0
    assert "which puts the ceiling of R2 at" in done.err
    bad = cli("fit", t, "--sequence-column", "seq", "--se-column", "mut", "-o", files / "b", *QUICK)
    assert bad.err.startswith(
        f"genoattn fit: error: {t}: standard error 'mut' of sample v0 is 'WT', not a number"
    )
    bad = cli(
        "fit", t, "--sequence-column", "seq", "--replicate-columns", "v, zz", "-o", files / "b", *QUICK[2:]
    )
    assert bad.err == f"genoattn fit: error: {t}: no column 'zz'; there are: mut, y, v\n"
    again = write_text(files / "twice.tsv", t.read_text() + f"again\t{WILD}\tWT\t9\t1\n")
    bad = cli("fit", again, "--sequence-column", "seq", "--strict", "-o", files / "b", *QUICK)
    assert "v0 and again are the same sequence with values" in bad.err
    bad = cli("fit", t, "-o", files / "b", *QUICK)
    assert bad.err == "genoattn fit: error: Missing option '--pheno'; give the table of phenotypes\n"
    assert not (files / "b").exists()


def test_suggest(cli, files):
    assert cli("fit", files / "t.tsv", "--sequence-column", "seq", "-o", files / "m", *QUICK).status == 0
    done = cli("suggest", files / "m", "--mutations", "3", "--top", "7")
    assert done.status == 0
    assert " combinations of mutations of the wild type (predicted " in done.err
    assert done.err.endswith("by enumeration (exact)\n")
    rows = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert len(rows) == 7
    assert rows["measured"].isna().all()
    assert rows["prediction"].is_monotonic_decreasing
    # The same from mutation strings of what was measured, and predict agrees with every one of them.
    how = ("--measured", files / "t.tsv", "--mutation-column", "mut", "--reference", files / "wt.fa")
    out = files / "s.tsv"
    assert cli("suggest", files / "m", "--mutations", "3", "--top", "7", *how, "-o", out, "--quiet").err == ""
    again = pd.read_csv(out, sep="\t")
    assert again["mutations"].tolist() == rows["mutations"].tolist()
    measured = set(pd.read_csv(files / "t.tsv", sep="\t")["mut"])
    assert again["measured"].tolist() == ["yes" if m in measured else "no" for m in again["mutations"]]
    how = ("--mutation-column", "mutations", "--reference", files / "wt.fa", "--quiet")
    predicted = pd.read_csv(io.StringIO(cli("predict", files / "m", out, *how).out), sep="\t")
    np.testing.assert_allclose(predicted["prediction"], again["prediction"], atol=1e-4)
    least = cli("suggest", files / "m", "--minimise", "--top", "3", "--quiet").out
    assert pd.read_csv(io.StringIO(least), sep="\t")["prediction"].is_monotonic_increasing
    bad = cli("suggest", files / "m", "--from", "v3")
    assert bad.err == "genoattn suggest: error: start v3: give the measured variants that it is one of\n"
    bad = cli("suggest", files / "m", "--mutations", "9")
    assert "9 mutations, but the model has 5 sites; ask for 1 to 5" in bad.err
    bad = cli("suggest", files / "m", "-o", out)
    assert "already exists" in bad.err


def test_counts_of_a_repeated_sequence(cli, files):
    frame = pd.read_csv(files / "t.tsv", sep="\t").assign(y=lambda t: np.arange(len(t)) % 7)
    again = frame.head(3).assign(IID=["r0", "r1", "r2"], y=5)
    pd.concat([frame, again]).to_csv(files / "counts.tsv", sep="\t", index=False)
    done = cli("fit", files / "counts.tsv", "--sequence-column", "seq", "--likelihood", "poisson",
               "-o", files / "counts", *QUICK)  # fmt: skip
    assert done.err == ""
    rows = pd.read_csv(files / "counts" / "interactions.tsv", sep="\t")
    assert rows["n_samples"].max() == 63


def test_asparagine_is_no_unknown_nucleotide(cli, files):
    rng = np.random.default_rng(1)
    sequences = sorted({"".join(rng.choice(list("ANGW"), 4)) for _ in range(120)})
    y = [2 * s.count("N") for s in sequences]
    names = [f"v{i}" for i in range(len(y))]
    frame = pd.DataFrame({"IID": names, "seq": sequences, "y": y})
    frame.to_csv(files / "n.tsv", sep="\t", index=False)
    assert cli("fit", files / "n.tsv", "--sequence-column", "seq", "-o", files / "n", *QUICK).err == ""
    write_text(files / "one.tsv", "IID\tseq\nq\tANAN\n")
    done = cli("predict", files / "n", files / "one.tsv", "--sequence-column", "seq", "--quiet")
    assert float(done.out.splitlines()[1].split("\t")[1]) == pytest.approx(4, abs=0.1)


def test_genotypes_for_a_model_of_sequences(cli, files):
    cli("fit", files / "t.tsv", "--sequence-column", "seq", "-o", files / "m", *QUICK)
    cohort = Path(__file__).parents[1] / "data" / "arabidopsis_ril.vcf.gz"
    done = cli("predict", files / "m", cohort, "--quiet")
    assert done.status == 2
    assert "genotype data, but the model was fitted on aligned sequences" in done.err
