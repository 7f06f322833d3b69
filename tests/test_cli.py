"""The command line from end to end, through files only."""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from cli_files import (
    random_genotypes,
    run_in_process,
    sample_ids,
    vcf_records,
    without_report,
    write_cohort,
    write_pheno,
)
from vcf_files import write_text, write_vcf

import genoattn

FILES = [
    "interactions.parquet",
    "interactions.tsv",
    "manifest.json",
    "metrics.json",
    "model.ckpt",
    "predictions.tsv",
    "ranking.tsv",
    "run.toml",
    "signals.tsv",
    "variance_components.tsv",
]


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(arguments, capsys)


def process(*arguments, **options):
    command = [sys.executable, "-m", "genoattn_cli.main", *without_report(arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


# --- help, and how fast it comes


def test_help_comes_at_once():
    times = []
    for _ in range(9):  # a busy machine gets more tries
        started = time.perf_counter()
        done = process("--help")
        times.append(time.perf_counter() - started)
        assert done.returncode == 0
        if len(times) >= 3 and statistics.median(sorted(times)[:3]) < 0.5:
            break
    assert {"fit", "predict", "export", "simulate"} <= set(done.stdout.split())
    assert statistics.median(sorted(times)[:3]) < 0.5, times


@pytest.mark.parametrize("imported", ["genoattn_cli.main", "genoattn"])
def test_import_is_light(imported):
    heavy = (
        "torch",
        "pandas",
        "numpy",
        "scipy",
        "pysam",
        "pytorch_lightning",
        "matplotlib",
        "Bio",
        "msprime",
    )
    code = f"import sys, {imported}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version(cli):
    outcome = cli("--version")
    assert (outcome.status, outcome.out) == (0, f"genoattn {genoattn.__version__}\n")


def test_bare_command_shows_its_help(cli):
    outcome = cli()
    assert outcome.status == 2
    assert "Usage: genoattn" in outcome.out + outcome.err
    assert "error" not in outcome.err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("fit", "COHORT --pheno --trait --covar --order --gauge --output"),
        ("fit", "--seed --threads --device --force --quiet --verbose"),
        ("fit", "--devices --precision --resume 16-mixed"),
        ("predict", "DIR COHORT --output --covar --region --force --quiet --verbose"),
        ("fit", "--sequence-column --mutation-column --reference --wild-type --variance-column --strict"),
        ("suggest", "DIR --mutations --top --from --minimise --measured --sequence-column --output"),
        ("variance", "COHORT --pheno --trait --covar --min-distance --relatives --order --output --json"),
        ("export", "DIR --gauge --order --top --output --force reference zero-sum frequency"),
        ("simulate", "--output --samples --sites --architecture --order --seed --force hub"),
    ],
)  # fmt: skip
def test_help_of_each_command(cli, monkeypatch, command, options):
    monkeypatch.setenv("COLUMNS", "200")
    for flag in ("--help", "-h"):
        outcome = cli(command, flag)
        assert (outcome.status, outcome.err) == (0, "")
        for option in options.split():
            assert option in outcome.out, option


# --- round trips


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A simulated cohort of 120 samples x 12 sites, in a folder."""
    out = tmp_path_factory.mktemp("simulated") / "sim"
    done = process("simulate", "-o", out, "--samples", 120, "--sites", 12, "--terms", 2, "--linkage", "none",
                   "--interaction-variance", 0.5, "--missing", 0.02, "--seed", 3, "--quiet")  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, f"written to {out}\n", "")
    return out


def test_simulation_is_the_same_for_a_seed(cli, simulated, tmp_path):
    assert names(simulated) == ["cohort.vcf.gz", "cohort.vcf.gz.tbi", "pheno.tsv", "truth.tsv"]
    again = (
        "--samples",
        120,
        "--sites",
        12,
        "--terms",
        2,
        "--linkage",
        "none",
        "--interaction-variance",
        0.5,
    )
    assert cli("simulate", "-o", tmp_path / "sim", *again, "--missing", 0.02, "--seed", 3).status == 0
    for name in ("pheno.tsv", "truth.tsv"):
        assert (tmp_path / "sim" / name).read_bytes() == (simulated / name).read_bytes()


@pytest.mark.parametrize("order", [2, 3])
def test_simulate_fit_predict_export(cli, simulated, tmp_path, order):
    vcf, pheno, model = simulated / "cohort.vcf.gz", simulated / "pheno.tsv", tmp_path / "model"
    fitted = cli("fit", vcf, "--pheno", pheno, "-o", model, "--order", order, "--epochs", 5, "--quiet",
                 "--threads", 1, "--seed", 2)  # fmt: skip
    assert (fitted.status, fitted.err) == (0, "")
    assert names(model) == FILES
    assert f"order {order}, 12 sites" in fitted.out
    assert fitted.out.endswith(f"\nwritten to {model}\n")

    table = genoattn.load_interactions(model)
    cohort = genoattn.read(vcf, filters=False)
    written = cli("predict", model, vcf, "-o", tmp_path / "p.tsv", "--quiet")
    assert (written.status, written.out, written.err) == (0, "", "")
    predictions = pd.read_csv(tmp_path / "p.tsv", sep="\t")
    assert predictions.columns.tolist() == ["IID", "prediction"]
    assert predictions["IID"].tolist() == cohort.samples.tolist()
    size = predictions["prediction"].abs().max()
    np.testing.assert_allclose(predictions["prediction"], table.predict(cohort), rtol=0, atol=1e-5 * size)
    shown = cli("predict", model, vcf, "--quiet")
    assert shown.out == (tmp_path / "p.tsv").read_text()

    for gauge in ("reference", "zero-sum"):
        path = tmp_path / f"{gauge}.tsv"
        exported = cli("export", model, "--gauge", gauge, "-o", path)
        assert (exported.status, exported.out, exported.err) == (0, "", "")
        other = genoattn.load_interactions(path)
        assert other.manifest.gauge == gauge
        np.testing.assert_allclose(other.predict(cohort), predictions["prediction"], rtol=0, atol=1e-5 * size)
    assert cli("export", model, "--gauge", "reference").out == (tmp_path / "reference.tsv").read_text()
    assert len(cli("export", model, "--top", 3).out.splitlines()) == 4
    fewer = tmp_path / "fewer.parquet"
    assert cli("export", model, "--order", 1, "-o", fewer).status == 0
    assert sorted(pd.read_parquet(fewer)["order"].unique()) == [0, 1]

    manifest = json.loads((model / "manifest.json").read_text())
    digest = hashlib.sha256(vcf.read_bytes()).hexdigest()
    assert manifest["inputs"]["genotypes"] == {"file": "cohort.vcf.gz", "sha256": digest}
    assert (manifest["seed"], manifest["order"], manifest["model"]["max_epochs"]) == (2, order, 5)


def test_same_seed_same_files(cli, simulated, tmp_path):
    for name in ("one", "two"):
        outcome = cli("fit", simulated / "cohort.vcf.gz", "--pheno", simulated / "pheno.tsv",
                      "-o", tmp_path / name, "--epochs", 3, "--quiet", "--threads", 1)  # fmt: skip
        assert outcome.status == 0
    for name in ("interactions.tsv", "metrics.json", "manifest.json", "variance_components.tsv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_force_replaces_all_of_the_old_output(cli, simulated, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "stale").touch()
    (model / "manifest.json").touch()
    (tmp_path / "table.tsv").write_text("stale")
    outcome = cli("fit", simulated / "cohort.vcf.gz", "--pheno", simulated / "pheno.tsv", "-o", model,
                  "--epochs", 2, "--quiet", "--force")  # fmt: skip
    assert outcome.status == 0
    assert names(model) == FILES
    assert cli("export", model, "-o", tmp_path / "table.tsv").status == 2
    assert (tmp_path / "table.tsv").read_text() == "stale"
    assert cli("export", model, "-o", tmp_path / "table.tsv", "--force").status == 0
    assert names(tmp_path) == ["model", "table.manifest.json", "table.tsv"]
    assert (tmp_path / "table.tsv").read_text().startswith("order\tsite_1\t")


def test_progress_and_log_are_no_data(cli, simulated, tmp_path):
    fitted = process("fit", simulated / "cohort.vcf.gz", "--pheno", simulated / "pheno.tsv", "-o",
                     tmp_path / "model", "--epochs", 2)  # fmt: skip
    assert fitted.returncode == 0
    assert "120 samples with genotypes, kept 120" in fitted.stderr
    assert "read 12 records (12 sites), kept" in fitted.stderr
    assert "Traceback" not in fitted.stderr
    assert "\nR2 of the model cut at each order:\n" in f"\n{fitted.stdout}"
    shown = cli("predict", tmp_path / "model", simulated / "cohort.vcf.gz")
    assert len(shown.out.splitlines()) == 121
    assert "kept all (filters off)" in shown.err
    mistake = cli("fit", simulated / "cohort.vcf.gz", "--pheno", simulated / "pheno.tsv", "-o",
                  tmp_path / "other", "--order", 40)  # fmt: skip
    assert mistake.status == 2
    assert len(mistake.err.splitlines()) > 1  # the log of what was read, then the mistake
    assert mistake.err.splitlines()[-1].startswith("genoattn fit: error: order 40, but there are")
    assert "Traceback" not in mistake.err
    assert names(tmp_path) == ["model"]


def test_progress_is_drawn_on_stderr(cli, simulated, tmp_path):
    outcome = cli("fit", simulated / "cohort.vcf.gz", "--pheno", simulated / "pheno.tsv",
                  "-o", tmp_path / "model", "--epochs", 1)  # fmt: skip
    assert outcome.status == 0
    assert outcome.out.startswith("R2 of the model cut at each order:\n")
    assert "epochs, validation loss" in outcome.err


# --- kinds of input


def test_binary_trait_with_covariates(cli, tmp_path):
    vcf, _ = write_cohort(tmp_path)
    rng = np.random.default_rng(0)
    status = [1 + k % 2 for k in range(30)]  # 1 and 2, PLINK's coding
    pheno = write_pheno(tmp_path / "case.tsv", status=status)
    age, batch = rng.integers(30, 60, 30), [*"abc" * 10]
    covar = write_pheno(tmp_path / "covar.tsv", age=age, batch=batch)
    model = tmp_path / "model"
    fitted = cli("fit", vcf, "--pheno", pheno, "--covar", covar, "-o", model, "--epochs", 2, "--quiet")
    assert (fitted.status, fitted.err) == (0, "")
    assert "AUC" in fitted.out
    out = cli("predict", model, vcf, "--covar", covar, "--quiet").out
    complete = pd.DataFrame(
        [line.split("\t") for line in out.splitlines()[1:]], columns=out.splitlines()[0].split("\t")
    )
    assert complete.columns.tolist() == ["IID", "prediction", "prediction_log_odds", "probability"]
    log_odds, probability = (
        complete["prediction_log_odds"].astype(float),
        complete["prediction"].astype(float),
    )
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-log_odds)), rtol=1e-12)
    # A new table in which only the last level occurs means the same.
    some = write_text(
        tmp_path / "some.tsv",
        "IID\tbatch\tage\n"
        + "".join(f"{s}\tc\t{a}\n" for s, a, b in zip(sample_ids(), age, batch, strict=True) if b == "c"),
    )
    few = cli("predict", model, vcf, "--covar", some, "--quiet").out.splitlines()[1:]
    found = {line.split("\t")[0]: float(line.split("\t")[1]) for line in few}
    assert list(found) == [name for name, level in zip(sample_ids(), batch, strict=True) if level == "c"]
    expected = probability[complete["IID"].isin(list(found))]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-5, atol=1e-6)
    forgotten = cli("predict", model, vcf, "--quiet")
    assert forgotten.status == 2
    assert (
        "covariate age of the model is missing (none were given); pass the covariate table with --covar"
        in (forgotten.err)
    )


def test_sequences(cli, tmp_path):
    rng = np.random.default_rng(1)
    texts = {name: "".join(rng.choice(list("ADE"), 5)) for name in sample_ids(40)}
    fasta = write_text(tmp_path / "s.fasta", "".join(f">{k}\n{v}\n" for k, v in texts.items()))
    pheno = write_pheno(tmp_path / "pheno.tsv", n_samples=40)
    model = tmp_path / "model"
    options = ("-o", model, "--epochs", 2, "--quiet", "--gauge", "reference", "--alphabet", "protein")
    assert cli("fit", fasta, "--pheno", pheno, *options).status == 0
    table = genoattn.load_interactions(model)
    assert table.manifest.gauge == "reference"
    cohort = genoattn.read(fasta, filters=False)
    out = cli("predict", model, fasta, "--quiet").out.splitlines()[1:]
    found = np.array([float(line.split("\t")[1]) for line in out])
    np.testing.assert_allclose(found, table.predict(cohort), rtol=0, atol=1e-5 * np.abs(found).max())


def test_swapped_alleles_are_said_on_stderr_and_change_nothing(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    model = tmp_path / "model"
    assert cli("fit", vcf, "--pheno", pheno, "-o", model, "--epochs", 2, "--quiet").status == 0
    turned = np.vectorize({"0/0": "1/1", "0/1": "0/1", "1/1": "0/0"}.get)(random_genotypes())
    swapped = write_vcf(tmp_path / "swapped.vcf", sample_ids(), vcf_records(turned, ref="C", alt="A"))
    outcome = cli("predict", model, swapped)
    assert outcome.out == cli("predict", model, vcf).out
    assert "6 with reference and effect allele swapped, turned round" in outcome.err


# --- streams


def test_reader_that_goes_away(cli, simulated, tmp_path):
    model = tmp_path / "model"
    fitted = cli("fit", simulated / "cohort.vcf.gz", "--pheno", simulated / "pheno.tsv", "-o", model,
                 "--epochs", 1, "--quiet")  # fmt: skip
    assert fitted.status == 0
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "genoattn_cli.main", "export", str(model)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.stderr == (
        "genoattn export: error: standard output: No space left on device while writing; "
        "free some space or choose another place; the output is incomplete\n"
    )
    assert done.returncode == 2
