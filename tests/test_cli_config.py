"""Options in a file, and the record of a run by which it is repeated."""

import json
import os
import shutil
import tomllib

import numpy as np
import pytest
from bed_reader import to_bed
from cli_files import run_in_process, sample_ids, write_cohort, write_pheno
from folders import names
from genoattn_cli import fit, scan
from genoattn_cli.config import settings_of
from genoattn_cli.run_again import cohort_of_run
from vcf_files import write_text

import genoattn

QUICK = ("--epochs", 2, "--threads", 1, "--quiet", "--no-report")


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(arguments, capsys)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return write_cohort(folder)


def repeated(folder, other):
    """Files of a run whose repetition differs, but for its paths."""
    files = [name for name in names(folder) if name != "run.toml"]
    return [name for name in files if (folder / name).read_bytes() != (other / name).read_bytes()]


# --- a file of options


def test_options_come_from_a_file_whose_paths_start_at_its_folder(cli, data, tmp_path, monkeypatch):
    config = write_text(
        tmp_path / "data" / "my.toml",
        'cohort = "cohort.vcf"\npheno = "pheno.tsv"\nthreshold = 1\ntop = 3\n# a remark\ntrait = "y"\n',
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli("scan", "--config", config, "-o", "out", "--quiet").status == 0
    used = tomllib.loads((tmp_path / "elsewhere" / "out" / "run.toml").read_text())
    assert (used["threshold"], used["top"], used["trait"]) == (1, 3, ["y"])
    assert used["cohort"] == "../../data/cohort.vcf"


def test_the_command_line_wins(cli, data, tmp_path):
    vcf, pheno = data
    config = write_text(tmp_path / "c.toml", 'threshold = 0.5\ntop = 3\npheno = "absent.tsv"\n')
    status = cli("scan", vcf, "--pheno", pheno, "--config", config, "--threshold", 1, "-o", tmp_path / "out")
    assert status.status == 0
    used = tomllib.loads((tmp_path / "out" / "run.toml").read_text())
    assert (used["threshold"], used["top"]) == (1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_missing = 3", "'max_missing' is no option of genoattn fit; did you mean max-missing?"),
        ("tempo = 3", "'tempo' is no option of genoattn fit; see genoattn fit --help for its options"),
        ("max-missing = 3", "max-missing = 3 is out of range; give a number from 0 to 1"),
        ("max-missing = nan", "max-missing = nan is out of range; give a number from 0 to 1"),
        ("epochs = 0", "epochs = 0 is out of range; give a number from 1 up"),
        ("epochs = 2.5", "epochs = 2.5 is of the wrong type; give an integer"),
        ("alpha = inf", "alpha = inf is no number to use"),
        ('maf = "0.1"', "maf = '0.1' is of the wrong type; give a number"),
        ("maf = true", "maf = true is of the wrong type; give a number"),
        ("strict = 1", "strict = 1 is of the wrong type; give true or false"),
        ("pheno = 1", "pheno = 1 is of the wrong type; give a path in quotes"),
        ("trait = [1]", "trait = [1] is of the wrong type; give text in quotes"),
        ("[fit]\nmaf = 0.1", "'fit' is no option of genoattn fit"),
        (
            'gauge = "zero"',
            "gauge = 'zero' is none of its words; give reference, zero-sum, frequency (did you mean zero-sum",
        ),
        ('order = "x"', "order: 'x' is no order; give a number from 1 up, auto, or all"),
        ('command = "scan"', "holds options of genoattn scan; use it with that command"),
        ("version = 3", "version = 3 is no text; put it in quotes or leave it out"),
        ("maf: 0.1", "is no TOML (Expected '=' after a key in a key/value pair (at line 1, column 4));"),
        ("config = 'a'", "'config' is no option of genoattn fit"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file(cli, data, tmp_path, text, message):
    config = write_text(tmp_path / "c.toml", text + "\n")
    outcome = cli("fit", data[0], "--config", config, "-o", tmp_path / "out", "--quiet")
    assert (outcome.status, outcome.out) == (2, "")
    assert f"genoattn fit: error: {config}: " in outcome.err
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert names(tmp_path) == ["c.toml", "data"]


def test_a_file_that_cannot_be_read(cli, tmp_path):
    absent = cli("fit", "--config", tmp_path / "absent.toml", "-o", tmp_path / "out")
    assert "absent.toml: no such file of options; check the path of --config" in absent.err
    folder = cli("fit", "--config", tmp_path, "-o", tmp_path / "out")
    assert f"{tmp_path}: cannot be read (Is a directory); give --config a TOML file" in folder.err
    assert (absent.status, folder.status) == (2, 2)


def test_what_is_required_may_be_missing_from_the_file_too(cli, tmp_path):
    config = write_text(tmp_path / "c.toml", "maf = 0.1\n")
    outcome = cli("scan", "--config", config, "-o", tmp_path / "out")
    assert outcome.status == 2
    assert "Missing" in outcome.err


def test_a_byte_order_mark_is_no_mistake(cli, data, tmp_path):
    config = tmp_path / "c.toml"
    config.write_bytes(b'\xef\xbb\xbfthreshold = 1\r\npheno = "data/pheno.tsv"\r\n')
    assert cli("scan", data[0], "--config", config, "-o", tmp_path / "out").status == 0


@pytest.mark.parametrize("function", [fit.command, scan.command])
def test_keys_are_the_long_names_of_options(function):
    settings = settings_of(function)
    assert {"cohort", "pheno", "max-missing", "trait", "output", "seed"} <= set(settings)
    assert "config" not in settings
    assert all((key.replace("-", "").isalnum() and key.islower()) or key == "max-r2" for key in settings)
    if function is scan.command:
        assert {"with", "format"} <= set(settings)


def test_other_commands_take_a_file_too(cli, tmp_path):
    config = write_text(tmp_path / "c.toml", 'samples = 50\nsites = 5\nlinkage = "none"\nterms = 1\n')
    assert cli("simulate", "--config", config, "-o", tmp_path / "sim").status == 0
    assert len((tmp_path / "sim" / "pheno.tsv").read_text().splitlines()) == 51


# --- the record of a run


def test_a_fit_is_repeated_from_its_folder(cli, data, tmp_path, monkeypatch):
    vcf, pheno = data
    out, again = tmp_path / "out", tmp_path / "deep" / "er" / "again"
    given = ("--max-missing", 0.2, "--gauge", "zero-sum", "--order", 2, "--seed", 5)
    assert cli("fit", vcf, "--pheno", pheno, "-o", out, *given, *QUICK).status == 0
    again.parent.mkdir(parents=True)
    monkeypatch.chdir(again.parent)
    done = cli("fit", "--config", out / "run.toml", "-o", again, "--quiet")
    assert (done.status, done.err) == (0, "")
    assert names(out) == names(again)
    assert repeated(out, again) == []
    used = tomllib.loads((out / "run.toml").read_text())
    assert (used["command"], used["version"]) == ("fit", genoattn.__version__)
    assert (used["cohort"], used["pheno"]) == ("../data/cohort.vcf", "../data/pheno.tsv")
    assert (used["order"], used["gauge"], used["seed"], used["budget"]) == (2, "zero-sum", 5, 240.0)
    assert not {"output", "force", "resume", "config", "quiet"} & set(used)
    other = tomllib.loads((again / "run.toml").read_text())
    assert other == {**used, "cohort": "../../../data/cohort.vcf", "pheno": "../../../data/pheno.tsv"}


def test_a_scan_is_repeated_from_its_folder(cli, data, tmp_path):
    vcf, pheno = data
    bed = write_text(tmp_path / "some.bed", "1\t0\t350\n")
    out, again = tmp_path / "out", tmp_path / "again"
    given = ("--threshold", 1, "--sites", f"{bed},rs4", "--quiet", "--no-report")
    assert cli("scan", vcf, "--pheno", pheno, "-o", out, *given).status == 0
    assert cli("scan", "--config", out / "run.toml", "-o", again, "--quiet").status == 0
    assert (out / "interactions.tsv").read_bytes() == (again / "interactions.tsv").read_bytes()
    assert len((out / "interactions.tsv").read_text().splitlines()) == 15  # 4 of 6 sites: all but one pair
    assert tomllib.loads((out / "run.toml").read_text())["sites"] == "../some.bed,rs4"
    assert (out / "run.toml").read_bytes() == (again / "run.toml").read_bytes()


def test_paths_through_links(cli, data, tmp_path):
    vcf, pheno = data
    far = tmp_path / "far" / "away"
    far.mkdir(parents=True)
    (tmp_path / "link").symlink_to(far)
    (far / "named.vcf").symlink_to(vcf)
    out = tmp_path / "link" / "out"
    done = cli("scan", far / "named.vcf", "--pheno", pheno, "-o", out, "--quiet", "--no-report")
    assert done.status == 0
    used = tomllib.loads((out / "run.toml").read_text())
    # From far/away/out, where the folder is, and not from link/out.
    assert (used["cohort"], used["pheno"]) == ("../named.vcf", "../../../data/pheno.tsv")
    assert cli("scan", "--config", out / "run.toml", "-o", tmp_path / "again", "--quiet").status == 0


def test_another_version_is_told(cli, data, tmp_path):
    config = write_text(tmp_path / "c.toml", 'version = "0.0.1"\ncommand = "scan"\n')
    outcome = cli("scan", data[0], "--pheno", data[1], "--config", config, "-o", tmp_path / "out")
    assert outcome.status == 0
    assert f"written by genoattn 0.0.1, and this is {genoattn.__version__}: results may differ" in outcome.err


# --- the cohort of a run


@pytest.fixture
def run(cli, data, tmp_path):
    done = cli("fit", data[0], "--pheno", data[1], "-o", tmp_path / "out", *QUICK)
    assert done.status == 0
    return tmp_path / "out"


def test_the_cohort_of_a_run(run, data):
    cohort, why = cohort_of_run(run)
    assert why == ""
    expected = genoattn.read(*data)
    assert cohort.samples.tolist() == expected.samples.tolist()
    assert (cohort.calls == expected.calls).all()


def test_inputs_that_moved_with_the_folder_are_found(run, data, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    shutil.move(run, there / "out")
    for path in data:
        shutil.move(path, there)
    cohort, why = cohort_of_run(there / "out")
    assert (cohort.n_samples, why) == (30, "")


def test_why_there_is_no_cohort(run, data, monkeypatch):
    changed = data[1].read_text()
    data[1].write_text(changed + "\n")
    cohort, why = cohort_of_run(run)
    assert cohort is None
    assert why == f"the phenotypes in {data[1]} have changed since: their SHA-256 differs"
    data[1].unlink()
    assert cohort_of_run(run) == (None, f"the phenotypes are not at {data[1]}, nor beside the folder")
    (run / "run.toml").write_text('command = "dance"\n')
    assert "names no command that reads a cohort ('dance')" in cohort_of_run(run)[1]
    (run / "run.toml").unlink()
    assert (
        cohort_of_run(run)[1] == f"{run} has no run.toml: it was written from Python or by an older version"
    )


def test_a_prefix_stands_for_its_files(cli, data, tmp_path):
    copies = np.random.default_rng(0).binomial(2, 0.45, size=(30, 6)).astype(np.int8)
    to_bed(tmp_path / "g.bed", copies, properties={"iid": sample_ids(), "sid": [f"rs{k}" for k in range(6)]})
    done = cli("scan", tmp_path / "g", "--pheno", data[1], "-o", tmp_path / "out", "--quiet", "--no-report")
    assert done.status == 0
    assert tomllib.loads((tmp_path / "out" / "run.toml").read_text())["cohort"] == "../g"
    cohort, why = cohort_of_run(tmp_path / "out")
    assert (cohort.n_samples, why) == (30, "")
    with (tmp_path / "g.bed").open("ab") as handle:
        handle.write(b"\0")
    assert "g.bed have changed since" in cohort_of_run(tmp_path / "out")[1]


def test_standard_input_cannot_be_read_again(cli, data, tmp_path, monkeypatch):
    vcf, pheno = data
    with pheno.open() as handle:
        before = os.dup(0)
        os.dup2(handle.fileno(), 0)
        try:
            done = cli("scan", vcf, "--pheno", "/dev/stdin", "-o", tmp_path / "out", "--quiet", "--no-report")
        finally:
            os.dup2(before, 0)
    assert done.status == 0
    assert tomllib.loads((tmp_path / "out" / "run.toml").read_text())["pheno"] == "/dev/stdin"
    assert cohort_of_run(tmp_path / "out") == (
        None,
        "the phenotypes came through /dev/stdin, which cannot be read again",
    )


def test_the_cohort_of_one_of_several_traits(cli, data, tmp_path):
    values = [f"{k % 7}" for k in range(30)]
    some = ["NA" if k < 5 else v for k, v in enumerate(values)]
    pheno = write_pheno(tmp_path / "traits.tsv", a=values, b=some)
    out = tmp_path / "out"
    done = cli("scan", data[0], "--pheno", pheno, "--trait", "a", "--trait", "b", "-o", out, "--quiet")
    assert done.status == 0
    assert json.loads((out / "b" / "manifest.json").read_text())["trait"] == "b"
    cohort, why = cohort_of_run(out / "b")
    assert why == ""
    assert (cohort.phenotype.name, cohort.n_samples) == ("b", 25)
