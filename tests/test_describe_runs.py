"""``genoattn.describe_file`` of output folders, and of what is none of the kinds it knows."""

from __future__ import annotations

import dataclasses
import gzip
import os
import threading
from itertools import product

import numpy as np
import pandas as pd
import pytest
from test_describe_file import RECORDS, SAMPLES, plink1, vcf
from test_describe_tables import ALIGNMENT, TABLE
from vcf_files import vcf_text, write_text

import genoattn
from genoattn import describe_file, read
from genoattn.errors import InputError
from genoattn.scan.traits import save_traits
from genoattn.simulate import simulate_cohort

# --- output folders


def landscape(folder):
    rows = [("".join(s), s.count("C") + 2 * (s[:2] == ("C", "C"))) for s in product("AC", repeat=6)]
    pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv(folder / "landscape.csv", index=False)
    return folder / "landscape.csv"


def test_the_folder_of_a_fit_and_its_model(tmp_path, monkeypatch):
    path = landscape(tmp_path)
    cohort = read(path, trait="fitness", sequence_column="variant")
    genoattn.fit(cohort, order=2, gauge="reference").save(tmp_path / "out")
    run = describe_file(tmp_path / "out").run
    assert (run.command, run.trait, run.order, run.n_sites) == ("genoattn fit", "fitness", 2, 6)
    assert "reference gauge" in run.title
    assert run.results["metric"] == "r2"
    assert run.settings["form"]
    assert run.files["model.ckpt"] == (tmp_path / "out" / "model.ckpt").stat().st_size
    states = {check.role: (check.file, check.state, check.found) for check in run.inputs}
    assert states["genotypes"] == ("landscape.csv", "unchanged", str(path))
    assert describe_file(tmp_path / "out" / "model.ckpt").run == run
    path.write_text(path.read_text().replace("AAAAAA,0", "AAAAAA,1"))
    assert describe_file(tmp_path / "out").run.inputs[0].state == "changed"
    path.unlink()
    monkeypatch.chdir(tmp_path / "out")
    assert describe_file(tmp_path / "out").run.inputs[0].state == "not found"


def test_the_folders_of_scans(tmp_path):
    from cli_files import write_cohort

    path, pheno = write_cohort(tmp_path)
    cohort = read(path, pheno)
    genoattn.scan_pairs(cohort, threshold=0.9).save(tmp_path / "scan")
    run = describe_file(tmp_path / "scan").run
    assert (run.command, run.trait, run.order) == ("genoattn scan", "y", 2)
    assert (run.results["n_tests"], run.settings["test"]) == (15, "additive")  # 6 sites
    assert "n_tests" not in run.settings
    assert [check.state for check in run.inputs] == ["unchanged", "unchanged"]


def test_a_scan_of_traits_and_a_simulation(tmp_path):
    cohort = simulate_cohort(n_samples=60, n_sites=5, linkage="none", n_terms=1, seed=1).cohort
    traits = pd.DataFrame({"IID": cohort.samples, "b": range(60), "a": np.arange(60) % 7})
    save_traits(genoattn.scan_traits(cohort, traits, threshold=0.9), tmp_path / "scans")
    run = describe_file(tmp_path / "scans").run
    assert (run.command, run.trait, run.title) == ("genoattn scan", "a, b", "2 traits, a folder each: a, b")
    assert run.results["a"]["n_tests"] == 10
    assert {"traits.tsv", "a/scan.json", "b/interactions.tsv"} <= set(run.files)
    other = tmp_path / "other"
    other.mkdir()
    write_text(other / "traits.tsv", "trait\n")
    with pytest.raises(InputError, match=r"traits\.tsv but no folder of a trait; run the scan again"):
        describe_file(other)
    (other / "traits.tsv").rename(other / "truth.tsv")
    assert describe_file(other).run.command == "genoattn simulate"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"its manifest\.json cannot be read \(JSONDecodeError"),
        ('{"schema_version": 99}', r"version 99"),
    ],
)
def test_a_damaged_manifest(tmp_path, text, message):
    write_text(tmp_path / "manifest.json", text)
    with pytest.raises(InputError, match=message):
        describe_file(tmp_path)


# --- what is none of these

WRONG = [
    ("x.txt", b"hello world\nthis is prose of several words\n", r"as a table: line 2: 6 columns"),
    ("x.txt", b"hello\nworld\n", r"text of one column, 'hello'"),
    ("x.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"neither text nor a known format by its first bytes"),
    ("x.xlsx", b"PK\x03\x04\x14\0\0\0", r"a zip file, as Excel's \.xlsx is; save the sheet as CSV"),
    ("x.html", b"<!DOCTYPE html><html>", r"a web page \(HTML\)"),
    ("x.vcf", b"", r"the file is empty"),
    ("x.tsv", b"IID\ty\na\t1\t2\n", r"line 2: 3 columns, the header has 2"),
    ("x.vcf", b"##fileformat=VCFv4.3\n", r"no header line that begins with #CHROM"),
    ("x.bed", b"\x6c\x1b\x01\0", r"x\.fam: no such file"),
    ("x.gz", gzip.compress(b"IID\ty\na\t1\n")[:-9], r"truncated: the compressed data end"),
]


@pytest.mark.parametrize(
    ("name", "content", "message"), WRONG, ids=[f"{w[0]}-{i}" for i, w in enumerate(WRONG)]
)
def test_a_file_that_is_none_of_these(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        describe_file(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_folders_and_companions(tmp_path):
    with pytest.raises(InputError, match="a folder that is neither an output of genoattn nor a VCF Zarr"):
        describe_file(tmp_path)
    with pytest.raises(InputError, match="no such file; check the path"):
        describe_file(tmp_path / "absent")
    plink1(tmp_path)
    with pytest.raises(
        InputError, match=r"g\.fam: belongs to g\.bed, which has the genotypes; give that one"
    ):
        describe_file(tmp_path / "g.fam")
    vcf(tmp_path, "h.vcf.gz")
    with pytest.raises(InputError, match=r"h\.vcf\.gz\.tbi: the index of another file; give h\.vcf\.gz"):
        describe_file(tmp_path / "h.vcf.gz.tbi")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maf": 0.6}, r"maf is 0\.6; give a minor allele frequency"),
        ({"maf": float("nan")}, r"maf is nan"),
        ({"max_missing": 2.0}, r"max_missing is 2\.0; give a fraction"),
        ({"trait": "T"}, r"trait 'T' without a table; give the phenotypes too"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        describe_file(vcf(tmp_path), **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "t.tsv",
            {"region": "1:1-2", "maf": 0.1},
            r"a table, which has no sites to count: leave out region, maf",
        ),
        ("t.tsv", {"alphabet": "dna"}, r"leave out alphabet; of a table of variants name the column of seq"),
        ("a.fasta", {"sequence_column": "s"}, r"an alignment: leave out sequence_column"),
        ("a.fasta", {"region": "1:1-2"}, r"an alignment has no regions; leave the region 1:1-2 out"),
        (
            "g.vcf",
            {"wild_type": "s0", "alphabet": "dna"},
            r"g\.vcf: genotypes: leave out wild_type, alphabet",
        ),
    ],
)
def test_options_that_mean_nothing_for_a_file(tmp_path, name, options, message):
    vcf(tmp_path)
    write_text(tmp_path / "t.tsv", TABLE)
    write_text(tmp_path / "a.fasta", ALIGNMENT)
    with pytest.raises(InputError, match=message):
        describe_file(tmp_path / name, **options)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(vcf_text(SAMPLES, RECORDS), "genotypes"), (ALIGNMENT, "alignment"), (TABLE, "table")],
)
def test_a_named_pipe(tmp_path, content, kind):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(content,), daemon=True)
    writer.start()
    found = describe_file(pipe)
    writer.join(10)
    assert (found.kind, found.path, found.mismatch) == (kind, str(pipe), None)


def test_descriptions_are_frozen(tmp_path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        describe_file(vcf(tmp_path)).kind = "table"
