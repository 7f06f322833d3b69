"""Mistakes on the command line: exit status 2, one line on stderr, nothing written."""

import errno
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from cli_files import (
    N_SAMPLES,
    random_genotypes,
    run_in_process,
    sample_ids,
    vcf_records,
    write_cohort,
    write_pheno,
)
from vcf_files import record, write_text, write_vcf

from genoattn import writing


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(arguments, capsys)


@pytest.fixture
def files(tmp_path):
    """Good inputs in a folder of their own, and an empty folder for outputs."""
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    outputs.mkdir()
    return (*write_cohort(inputs), outputs)


def refused(outcome, *parts, command="fit"):
    """Exit status 2, exactly one line on stderr, with all parts in this order, and nothing on stdout."""
    assert outcome.status == 2
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    prefix = f"genoattn {command}: error: "
    assert lines[0].startswith(prefix)
    rest = lines[0].removeprefix(prefix)
    for part in map(str, parts):
        assert part in rest, f"{part!r} not in {rest!r}"
        rest = rest[rest.index(part) + len(part) :]


def fit(cli, vcf, pheno, outputs, *options):
    """A short fit into an empty folder, where a refusal must leave nothing."""
    outcome = cli("fit", vcf, "--pheno", pheno, "-o", outputs / "model", "--quiet", "--epochs", "2", *options)
    if outcome.status:
        assert list(outputs.iterdir()) == []
    return outcome


def test_good_inputs_are_not_refused(cli, files):
    outcome = fit(cli, *files)
    assert (outcome.status, outcome.err) == (0, "")
    assert [p.name for p in files[2].iterdir()] == ["model"]


# --- genotypes


def test_missing_files(cli, files, tmp_path):
    vcf, pheno, outputs = files
    missing = tmp_path / "missing.vcf"
    refused(fit(cli, missing, pheno, outputs), missing, ": no such file; check the path")
    missing = tmp_path / "missing.tsv"
    refused(fit(cli, vcf, missing, outputs), missing, ": no such file; check the path")
    refused(fit(cli, vcf, pheno, outputs, "--covar", missing), missing, ": no such file; check the path")
    refused(fit(cli, tmp_path / "prefix", pheno, outputs), "prefix: no such file; check the path")


def test_not_a_vcf(cli, files, tmp_path):
    _, pheno, outputs = files
    path = write_text(tmp_path / "prose.vcf", "It was a dark and stormy night\n")
    refused(fit(cli, path, pheno, outputs), path, "not a VCF: its first line is 'It was", "##fileformat=VCF")
    other = write_text(tmp_path / "genotypes.xlsx", "x")
    refused(fit(cli, other, pheno, outputs), other, "unknown suffix '.xlsx'", "readable are .vcf")
    folder = tmp_path / "folder.vcf"
    folder.mkdir()
    refused(fit(cli, folder, pheno, outputs), folder, "is a folder, not a file; give the file inside it")
    empty = write_text(tmp_path / "empty.vcf", "")
    refused(fit(cli, empty, pheno, outputs), empty, "the file is empty; write or copy it again")


@pytest.mark.parametrize("name", ["cohort.vcf.gz", "cohort.bcf"])
def test_truncated(cli, files, tmp_path, name):
    cut = write_vcf(tmp_path / name, sample_ids(), vcf_records(random_genotypes()))
    cut.write_bytes(cut.read_bytes()[:-40])
    refused(fit(cli, cut, *files[1:]), cut, "truncated", "copy or download it again")


def test_no_genotypes(cli, files, tmp_path):
    lines = vcf_records(random_genotypes())
    lines[2] = record(["10"] * N_SAMPLES, pos=300, form="DP")
    path = write_vcf(tmp_path / "dp.vcf", sample_ids(), lines)
    strict = fit(cli, path, *files[1:], "--strict")
    refused(strict, path, "record 3 (1:300): no GT in FORMAT 'DP'", "call them or remove")
    assert fit(cli, path, *files[1:]).status == 0


def test_allele_index_without_an_allele(cli, files, tmp_path):
    genotypes = random_genotypes()
    genotypes[4, 6] = "0/2"
    path = write_vcf(tmp_path / "index.vcf", sample_ids(), vcf_records(genotypes))
    message = (
        "record 5 (1:500): sample S07 has allele index 2 but the record has 2 alleles; correct the record"
    )
    refused(fit(cli, path, *files[1:], "--strict"), path, message)


def test_duplicate_sample_ids(cli, files, tmp_path):
    vcf, pheno, outputs = files
    path = write_vcf(tmp_path / "twice.vcf", ["S01", *sample_ids()[:-1]], vcf_records(random_genotypes()))
    refused(fit(cli, path, pheno, outputs), path, "sample ID 'S01' occurs twice in the header; rename one")
    table = write_text(tmp_path / "twice.tsv", pheno.read_text() + "S02\t1.5\n")
    refused(fit(cli, vcf, table, outputs), table, "sample ID 'S02' has two rows; keep one of them")


def test_everything_filtered_out(cli, files, tmp_path):
    _, pheno, outputs = files
    genotypes = random_genotypes()
    genotypes[0] = "0/0"
    genotypes[1, :10] = "./."
    genotypes[2:] = "0/0"
    genotypes[2:, 3] = "0/1"
    path = write_vcf(tmp_path / "poor.vcf", sample_ids(), vcf_records(genotypes))
    reasons = "1 monomorphic, 1 over the missingness limit 0.1, 4 under the minor allele frequency 0.1"
    refused(
        fit(cli, path, pheno, outputs, "--maf", "0.1"),
        path,
        "no site is left of 6 records",
        reasons,
        "loosen",
    )


def test_sequences_of_unequal_length(cli, files, tmp_path):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 8)) for _ in sample_ids()]
    texts[3] += "A"
    fasta = "".join(f">{name}\n{text}\n" for name, text in zip(sample_ids(), texts, strict=True))
    path = write_text(tmp_path / "ragged.fasta", fasta)
    message = "record 4 (S04) has 9 residues, record 1 (S01) has 8; align the sequences to one length"
    refused(fit(cli, path, *files[1:]), path, message)


# --- phenotypes


def test_no_sample_in_common(cli, files, tmp_path):
    pheno = write_text(tmp_path / "others.tsv", "IID\ty\n" + "".join(f"X{i}\t{i}\n" for i in range(9)))
    refused(
        fit(cli, files[0], pheno, files[2]),
        pheno,
        "no sample in common with the genotypes; IDs there: X0, X1, X2; IDs of the genotypes: S01, S02, S03;",
        "make them alike",
    )


def test_traits_that_are_not_there_or_not_said(cli, files, tmp_path):
    columns = {name: np.random.default_rng(0).normal(size=N_SAMPLES) for name in ("height", "weight")}
    pheno = write_pheno(tmp_path / "two.tsv", **columns)
    vcf, _, outputs = files
    refused(
        fit(cli, vcf, pheno, outputs, "--trait", "size"), pheno, "no trait 'size'; there are: height, weight"
    )
    refused(fit(cli, vcf, pheno, outputs), pheno, "2 traits, name the one to use; there are: height, weight")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (["1.5"] * 30, (), "trait 'y' is constant: 1.5 in all 30 samples in use; choose a trait that varies"),
        (["tall"] + ["1.5"] * 29, (), "trait 'y' of sample S01 is 'tall', not a number; correct it"),
        (["1"] * 30, ("--trait-type", "binary"), "trait 'y' is binary with one class: 30 cases (1) and 0"),
        (["3", *"01" * 14, "0"], ("--trait-type", "binary"), "of sample S01 is 3; a binary trait is coded 0"),
        (["-1", *map(str, range(1, 30))], ("--transform", "log"), "trait 'y' of sample S01 is -1, it has no"),
        (["NA"] * 30, (), "no sample is left of 30"),
    ],
)  # fmt: skip
def test_phenotypes_that_cannot_be_fitted(cli, files, tmp_path, values, options, message):
    pheno = write_pheno(tmp_path / "bad.tsv", y=values)
    refused(fit(cli, files[0], pheno, files[2], *options), message)


def test_too_few_samples(cli, files, tmp_path):
    pheno = write_text(tmp_path / "few.tsv", "\n".join(files[1].read_text().splitlines()[:13]) + "\n")
    message = "12 samples with genotypes and phenotype; a fit needs at least 20"
    refused(fit(cli, files[0], pheno, files[2]), message)
    few_cases = write_pheno(tmp_path / "cases.tsv", y=[1, 1] + [0] * 28)
    message = "2 cases among 30 samples; a fit needs at least 3 of each"
    refused(fit(cli, files[0], few_cases, files[2]), message)


def test_covariates_that_cannot_be_fitted(cli, files, tmp_path):
    constant = write_pheno(tmp_path / "covar.tsv", age=[40] * 30)
    refused(fit(cli, *files, "--covar", constant), constant, "covariate 'age' is constant", "remove it")
    refused(fit(cli, *files, "--covar", files[1]), files[1], "covariate 'y' is the trait itself")


# --- options


def test_order_larger_than_the_number_of_sites(cli, files):
    refused(fit(cli, *files, "--order", "7"), "order 7, but there are 6 sites; ask for an order from 1 to 6")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--gauge", "hadamard"], ["'--gauge'", "'reference', 'zero-sum', 'frequency'"]),
        (["--order", "two"], ["'--order'", "'two' is no order; give a number from 1 up, auto, or all"]),
        (["--order", "0"], ["'--order'", "'0' is no order; give a number from 1 up, auto, or all"]),
        (["--epochs", "0"], ["'--epochs'"]),
        (["--maf", "0.7"], ["'--maf'", "0.5"]),
        (["--seed", "-1"], ["'--seed'"]),
        (["--shiny"], ["No such option", "--shiny"]),
        (["--encoding", "sequence"], ["encoding 'sequence' does not fit genotype data; use dosage"]),
        (["--device", "abacus"], ["device 'abacus' is unknown; choose one of auto, cpu, cuda, mps"]),
        (["--devices", "999"], ["devices is 999, but of ", "there are ", "; give 1 to "]),
        (["--precision", "16"], ["'--precision'", "'32', '64', '16-mixed', 'bf16-mixed'"]),
        (["--device", "cpu", "--precision", "16-mixed"], ["16-mixed is not available on cpu; use one of 32"]),
        (["--resume"], ["model.checkpoint: no stopped fit to resume there; start it without resume"]),
        (["--reference", "S01"], ["reference and alphabet are for alignments; leave them out"]),
        (["--region", "1:1-200"], ["a region needs a bgzip-compressed VCF with an index", "tabix -p vcf"]),
        (["more.vcf"], ["unexpected extra argument", "more.vcf"]),
    ],
)  # fmt: skip
def test_options_that_cannot_be(cli, files, options, parts):
    refused(fit(cli, *files, *options), *parts)


def test_missing_options(cli, files):
    vcf, pheno, outputs = files
    refused(cli("fit", vcf, "-o", outputs / "model"), "Missing option '--pheno'")
    refused(cli("fit", vcf, "--pheno", pheno), "Missing option '-o'")
    refused(cli("fit", "--pheno", pheno, "-o", outputs / "model"), "Missing argument 'COHORT'")
    refused(cli("simulate"), "Missing option '-o'", command="simulate")
    assert list(outputs.iterdir()) == []


def test_unknown_command(cli):
    outcome = cli("fitt")
    assert outcome.status == 2
    assert outcome.err.splitlines() == [outcome.err.strip()]
    assert outcome.err.startswith("genoattn: error: No such command 'fitt'")


# --- outputs


def test_output_that_exists_is_left_alone(cli, files):
    vcf, pheno, outputs = files
    model = outputs / "model"
    model.mkdir()
    (model / "manifest.json").write_text("precious")
    outcome = cli("fit", vcf, "--pheno", pheno, "-o", model, "--quiet")
    refused(outcome, model, "already exists; give another output, or --force to replace it")
    assert [p.name for p in outputs.iterdir()] == ["model"]
    assert [(p.name, p.read_text()) for p in model.iterdir()] == [("manifest.json", "precious")]


def test_a_refused_fit_with_force_leaves_the_old_output(cli, files, tmp_path):
    vcf, pheno, outputs = files
    model = outputs / "model"
    model.mkdir()
    (model / "manifest.json").write_text("precious")
    outcome = cli("fit", vcf, "--pheno", pheno, "-o", model, "--quiet", "--force", "--order", "9")
    refused(outcome, "order 9, but there are 6 sites")
    assert [(p.name, p.read_text()) for p in model.iterdir()] == [("manifest.json", "precious")]


def test_parent_of_the_output_missing(cli, files):
    vcf, pheno, outputs = files
    outcome = cli("fit", vcf, "--pheno", pheno, "-o", outputs / "missing" / "model", "--quiet")
    refused(outcome, outputs / "missing", "no such folder to write model in; make it first")
    assert list(outputs.iterdir()) == []


@pytest.mark.parametrize("last", ["interactions.tsv", "manifest.json", "model.ckpt"])
def test_disk_full_by_decree(cli, files, monkeypatch, last):
    write = writing.Path.write_bytes

    def until(self, content):
        if self.name == last:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(writing.Path, "write_bytes", until)
    message = (
        "No space left on device while writing; free some space or choose another place; nothing was written"
    )
    refused(fit(cli, *files), files[2] / "model", message)


def test_disk_truly_full(cli, files):
    vcf, pheno, outputs = files
    mount = shutil.which("mount")
    small = ["-t", "tmpfs", "-o", "size=16k", "tmpfs", str(outputs)]
    if mount is None or os.geteuid() or subprocess.run([mount, *small], capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    try:
        message = (
            "No space left on device while writing; free some space or choose another place; nothing was"
        )
        refused(fit(cli, vcf, pheno, outputs), outputs / "model", message)
    finally:
        subprocess.run(["umount", str(outputs)], check=True)


def test_file_size_limit_in_a_process_of_its_own(files):
    vcf, pheno, outputs = files
    limit = 2000  # bytes: less than any checkpoint
    done = subprocess.run(
        [sys.executable, "-m", "genoattn_cli.main", "fit", str(vcf), "--pheno", str(pheno),
         "-o", str(outputs / "model"), "--epochs", "2", "--quiet"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert len(lines) == 1, done.stderr
    assert lines[0] == (
        f"genoattn fit: error: {outputs / 'model'}: File too large while writing; "
        "raise the file size limit or choose another place; nothing was written"
    )
    assert list(outputs.iterdir()) == []


# --- the other commands


def test_predict_and_export_without_a_model(cli, files, tmp_path):
    vcf, _, outputs = files
    where = (tmp_path / "nowhere", "no model.ckpt there; give the output folder of genoattn fit")
    refused(cli("predict", tmp_path / "nowhere", vcf, "--quiet"), *where, command="predict")
    refused(cli("export", tmp_path / "nowhere", "-o", outputs / "t.tsv"), *where, command="export")
    assert list(outputs.iterdir()) == []


def test_predict_and_export_with_mistakes(cli, files, tmp_path):
    vcf, pheno, outputs = files
    assert fit(cli, *files).status == 0
    model = outputs / "model"
    few = write_vcf(tmp_path / "few.vcf", sample_ids(), vcf_records(random_genotypes())[:4])
    absent = "2 of the model's 6 sites are not there (rs5, rs6); add them, as missing calls ./."
    refused(cli("predict", model, few, "--quiet"), few, absent, command="predict")
    extra = cli("predict", model, vcf, "--covar", pheno, "--quiet")
    refused(extra, model, "the model has no covariates; leave --covar out", command="predict")
    taken = cli("predict", model, vcf, "-o", pheno, "--quiet")
    refused(taken, pheno, "already exists; give another output, or --force", command="predict")
    folder = cli("predict", model, vcf, "-o", outputs, "--force", "--quiet")
    refused(folder, outputs, "is a folder, which a file cannot replace; name a file", command="predict")
    high = "order 3, but the model has orders up to 2; ask for at most that, or fit again"
    refused(cli("export", model, "--order", "3"), high, command="export")
    refused(cli("export", model, "--top", "0"), "'--top'", command="export")
    unknown = cli("export", model, "-o", outputs / "table.csv")
    refused(unknown, "table.csv: unknown ending .csv; name the table .tsv or .parquet", command="export")
    assert [p.name for p in outputs.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--samples", "5"], ["5 samples; at least 20 are needed"]),
        (["--architecture", "web"], ["'--architecture'", "'web'", "'pairs'"]),
        (["--term-variances", "a,b"], ["--term-variances", "'a,b' is not a list of numbers such as 0.05"]),
        (["--interaction-variance", "0.9"], ["add to 1.1, which leaves nothing for noise"]),
    ],
)
def test_simulations_that_cannot_be(cli, tmp_path, options, parts):
    refused(cli("simulate", "-o", tmp_path / "sim", "--quiet", *options), *parts, command="simulate")
    assert list(tmp_path.iterdir()) == []
