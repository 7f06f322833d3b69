"""Dosages: formats that have them, what is refused, and their way through scan, fit, predict and tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bgen
import numpy as np
import pgenlib
import pytest
import statsmodels.api as sm
from cli_files import run_in_process
from hypothesis import given, settings
from hypothesis import strategies as st
from vcf_files import read_genotypes, write_text

import genoattn
from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.io.dosages import expected_copies, genotype_copies

N_SAMPLES, N_SITES = 120, 12
FIELDS = ("DS", "GP", "HDS")


def probabilities(seed: int = 0, n: int = N_SAMPLES, sites: int = N_SITES) -> np.ndarray:
    """Of genotypes with 0, 1 and 2 copies, (n_samples, n_sites, 3), in steps of 1/255, which a BGEN holds."""
    rng = np.random.default_rng(seed)
    called = rng.binomial(2, rng.uniform(0.2, 0.5, sites), (n, sites))
    weight = np.where(called[..., None] == np.arange(3), rng.uniform(0.6, 1, (n, sites, 3)), 0)
    weight = weight + rng.uniform(0, 0.15, (n, sites, 3))
    steps = np.rint(255 * weight / weight.sum(axis=2, keepdims=True))
    steps[..., 0] = 255 - steps[..., 1:].sum(axis=2)
    return steps / 255


def dosages(p: np.ndarray) -> np.ndarray:
    return p @ np.arange(3.0)


def write_dosages(path: Path, p: np.ndarray) -> Path:
    """A VCF with GT, DS, GP and HDS, or a .pgen or .bgen, of probabilities (n_samples, n_sites, 3)."""
    n, sites = p.shape[:2]
    names, copies = [f"s{i}" for i in range(n)], dosages(p)
    if path.suffix == ".pgen":
        with pgenlib.PgenWriter(str(path).encode(), n, sites, dosage_present=True) as file:
            for column in copies.T:
                file.append_dosages(np.ascontiguousarray(column, dtype=np.float32))
        rows = "".join(f"1\t{1000 * (j + 1)}\tr{j}\tA\tG\n" for j in range(sites))
        write_text(path.with_suffix(".pvar"), "#CHROM\tPOS\tID\tREF\tALT\n" + rows)
        write_text(path.with_suffix(".psam"), "#IID\n" + "".join(f"{name}\n" for name in names))
        return path
    if path.suffix == ".bgen":
        with bgen.BgenWriter(str(path), n, samples=names) as file:
            for j in range(sites):
                file.add_variant("", f"r{j}", "1", 1000 * (j + 1), ["A", "G"], p[:, j], ploidy=2, bit_depth=8)
        return path
    header = "##fileformat=VCFv4.3\n##contig=<ID=1>\n"
    header += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    for field, number in (("DS", "A"), ("GP", "G"), ("HDS", ".")):
        header += f'##FORMAT=<ID={field},Number={number},Type=Float,Description="{field}">\n'
    header += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(names) + "\n"
    lines = []
    for j in range(sites):
        cells = [
            f"0/1:{d:.6f}:{a:.6f},{b:.6f},{c:.6f}:{d / 2:.6f},{d / 2:.6f}"
            for d, (a, b, c) in zip(copies[:, j], p[:, j], strict=True)
        ]
        lines.append(f"1\t{1000 * (j + 1)}\tr{j}\tA\tG\t.\t.\t.\tGT:DS:GP:HDS\t" + "\t".join(cells))
    return write_text(path, header + "\n".join(lines) + "\n")


def one_record(tmp_path: Path, form: str, cells: list[str], alt: str = "C") -> Path:
    names = "\t".join(f"s{i}" for i in range(len(cells)))
    text = f"##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n"
    text += f"1\t5\t.\tA\t{alt}\t.\t.\t.\t{form}\t" + "\t".join(cells) + "\n"
    return write_text(tmp_path / "one.vcf", text)


def read_one(
    tmp_path: Path, form: str, cells: list[str], field: str, alt: str = "C", **how: object
) -> Cohort:
    return read_genotypes(one_record(tmp_path, form, cells, alt), dosage_field=field, **how)[0]


# --- what is read ---


def test_copies_of_genotypes_by_hand() -> None:
    # VCF 4.4: of alleles 0, 1, 2 the order is 00, 01, 11, 02, 12, 22; haploid 0, 1, 2.
    assert genotype_copies(3, 2)[:, 1].tolist() == [0, 1, 2, 0, 1, 0]
    assert genotype_copies(3, 2)[:, 2].tolist() == [0, 0, 0, 1, 1, 2]
    assert genotype_copies(3, 1).tolist() == np.eye(3).tolist()
    # 0.5 x 0 + 0.25 x 1 + 0.25 x 2.
    assert expected_copies(np.array([[0.5, 0.25, 0.25]]), 2, 2).tolist() == [[0.75]]


@pytest.mark.parametrize(
    ("name", "field", "error"),
    [
        *(("x.vcf", field, 3e-6) for field in FIELDS),
        ("x.pgen", "DS", 2**-14),
        ("x.bgen", None, 1e-6),
    ],
)
def test_formats_hold_the_same_dosages(tmp_path: Path, name: str, field: str | None, error: float) -> None:
    p = probabilities()
    cohort, what = read_genotypes(write_dosages(tmp_path / name, p), dosage_field=field)
    assert what == f"{N_SITES} records ({N_SITES} sites)"
    assert (cohort.calls.dtype, cohort.has_dosages) == (np.float32, True)
    np.testing.assert_allclose(cohort.calls, dosages(p), atol=error)
    assert cohort.sites.ids.tolist() == [f"r{j}" for j in range(N_SITES)]
    assert cohort.sites.states[0] == ("A/A", "A/G", "G/G")
    kept, _ = (
        read_genotypes(tmp_path / name, region="1:3000-4000", dosage_field=field)
        if name != "x.vcf"
        else (
            cohort.select_sites(np.array([2, 3])),
            "",
        )
    )
    assert kept.sites.ids.tolist() == ["r2", "r3"]


def test_hard_calls_written_as_dosages_are_hard_calls(tmp_path: Path) -> None:
    p = np.eye(3)[np.random.default_rng(1).integers(0, 3, (20, 4))]
    for name, field in (("x.vcf", "DS"), ("x.vcf", "GP"), ("x.bgen", None), ("x.pgen", "DS")):
        cohort, _ = read_genotypes(write_dosages(tmp_path / name, p), dosage_field=field)
        assert cohort.calls.dtype == np.int8
        assert np.array_equal(cohort.calls, dosages(p))


def test_missing_and_left_out_entries(tmp_path: Path) -> None:
    cells = ["0/1:.:0.9", "0/1:5:.", "0/1", "1/1:5:1.25e0"]
    assert read_one(tmp_path, "GT:DP:DS", cells, "DS").calls[:, 0].tolist() == pytest.approx(
        [0.9, -1, -1, 1.25]
    )
    assert read_one(tmp_path, "GP", [".", "0.1,0.2,0.7"], "GP").calls[:, 0].tolist() == pytest.approx(
        [-1, 1.6]
    )


def test_haploid_samples_among_diploid_ones(tmp_path: Path) -> None:
    cells = ["0:0.4", "0/1:1.2"]
    assert read_one(tmp_path, "GT:DS", cells, "DS").calls[:, 0].tolist() == pytest.approx([0.8, 1.2])
    as_is = read_one(tmp_path, "GT:DS", cells, "DS", haploid="as-is")
    assert as_is.calls[:, 0].tolist() == pytest.approx([0.4, 1.2])
    # GP tells ploidy by its number of values, HDS likewise.
    for field, cells in (("GP", ["0.6,0.4", "0,0.8,0.2"]), ("HDS", ["0.4", "0.8,0.4"])):
        assert read_one(tmp_path, field, cells, field).calls[:, 0].tolist() == pytest.approx([0.8, 1.2])


def test_a_missing_call_tells_no_ploidy(tmp_path: Path) -> None:
    calls = read_one(tmp_path, "GT:DS", [".:0.9", "0/1:1.2", "./.:0.3"], "DS").calls
    assert calls[:, 0].tolist() == pytest.approx([0.9, 1.2, 0.3])
    haploid = read_one(tmp_path, "GT:DS", [".:0.9", "1:0.8"], "DS")
    assert haploid.sites.states == (("A", "C"),)


def test_several_alternate_alleles(tmp_path: Path) -> None:
    cohort = read_one(tmp_path, "DS", ["0.5,1.25", "0,0.1"], "DS", alt="C,G")
    np.testing.assert_allclose(cohort.calls, [[0.5, 1.25], [0, 0.1]], atol=1e-6)
    assert cohort.sites.ids.tolist() == ["1:5:A:C", "1:5:A:G"]
    # P(01) = 0.5, P(12) = 0.3, P(22) = 0.2: 0.8 copies of the first and 0.3 + 0.4 of the second.
    cohort = read_one(tmp_path, "GP", ["0,0.5,0,0,0.3,0.2"], "GP", alt="C,G")
    np.testing.assert_allclose(cohort.calls, [[0.8, 0.7]], atol=1e-6)


@given(st.lists(st.floats(0, 2, width=32), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_decimal_is_read_as_python_reads_it(values: list[float]) -> None:
    from genoattn.io.record_kernels import parse_numbers

    texts = [repr(float(v)) for v in values]
    line = ("0/1:" + "\t0/1:".join(texts) + "\n").encode()
    out = np.full((len(texts), 1), np.nan)
    assert parse_numbers(np.frombuffer(line, dtype=np.uint8), 0, 1, out) == len(line) - 1
    np.testing.assert_allclose(out[:, 0], [float(t) for t in texts], rtol=1e-12)


# --- what is refused ---


@pytest.mark.parametrize(
    ("form", "cells", "field", "message"),
    [
        ("DS", ["0.5", "2.3"], "DS", r"sample s1 has a dosage of 2.3 at a site of ploidy 2; correct it"),
        ("GT:DS", ["0:0.5", "1:1.4"], "DS", r"sample s1 has a dosage of 1.4 at a site of ploidy 1"),
        ("DS", ["0.5", "-0.3"], "DS", r"sample s1 has a dosage of -0.3"),
        ("GP", ["0.5,0.5,0", "0.5,0.4,0.3"], "GP", r"sample s1 are 0.5, 0.4, 0.3, which do not add up to 1"),
        ("DS", ["0.5", "x"], "DS", r"sample s1 has no DS that can be read \(up to 1 numbers"),
        ("DS", ["0.5,0.1", "0"], "DS", r"sample s0 has no DS that can be read"),
        ("GT", ["0/1", "0/0"], "DS", r"no DS in FORMAT 'GT'; choose another --dosage-field"),
        ("GT", ["0/1", "0/0"], "AD", r"dosage_field is 'AD'; choose one of GT, DS, GP, HDS"),
    ],
)
def test_mistakes_in_dosages(tmp_path: Path, form: str, cells: list[str], field: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_one(tmp_path, form, cells, field)


@pytest.mark.parametrize("name", ["x.bed", "x.vcz", "x.fa"])
def test_formats_without_dosages(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(">a\nACGT\n")
    with pytest.raises(InputError, match=r"dosages( are read from this format)?; leave dosage_field out"):
        genoattn.read(tmp_path / name, dosage_field="DS")


def test_a_record_without_the_field_is_left_out(tmp_path: Path) -> None:
    path = one_record(tmp_path, "GT:DS", ["0/1:0.9", "0/0:0.2"])
    path.write_text(path.read_text() + "1\t9\t.\tA\tC\t.\t.\t.\tGT\t0/1\t0/0\n")
    cohort, _ = read_genotypes(path, dosage_field="DS")
    assert cohort.n_sites == 1
    assert cohort.log[0].startswith("1 records left out, without DS (the first: ")
    with pytest.raises(InputError, match=r"record 2 \(1:9\): no DS in FORMAT 'GT'"):
        read_genotypes(path, dosage_field="DS", strict=True)


def test_mistakes_of_a_bgen(tmp_path: Path) -> None:
    p = probabilities(n=5, sites=3)
    path = write_dosages(tmp_path / "x.bgen", p)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 20])
    with pytest.raises(InputError, match=r"x.bgen: (truncated or corrupt|not a BGEN)"):
        read_genotypes(path)
    path.write_bytes(b"hello, this is no bgen at all")
    with pytest.raises(InputError, match=r"x.bgen: not a BGEN, or damaged"):
        read_genotypes(path)
    with bgen.BgenWriter(str(path), 5) as file:
        file.add_variant("", "r0", "1", 7, ["A", "G"], p[:, 0], ploidy=2, bit_depth=8)
    with pytest.raises(InputError, match=r"no sample IDs in the file, and no x.sample beside it"):
        read_genotypes(path)
    beside = write_text(
        tmp_path / "x.sample", "ID_1 ID_2 missing\n0 0 0\n" + "".join(f"f{i} i{i} 0\n" for i in range(5))
    )
    assert read_genotypes(path)[0].samples.tolist() == [f"i{i}" for i in range(5)]
    beside.write_text("ID_1 ID_2 missing\n0 0 0\nf i 0\n")
    with pytest.raises(InputError, match=r"x.sample: 3 lines, but x.bgen has 5 samples"):
        read_genotypes(path)


# --- where they go ---


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("dosages")
    p = probabilities(seed=3, n=400)
    cohort, _ = read_genotypes(write_dosages(folder / "x.vcf", p), dosage_field="DS")
    x = cohort.calls - cohort.calls.mean(axis=0)
    y = 2 * x[:, 2] * x[:, 7] + x[:, 4] + np.random.default_rng(4).normal(size=400) / 2
    return replace(cohort, phenotype=Phenotype("y", y))


def test_scan_is_least_squares_on_the_dosages(cohort: Cohort) -> None:
    rows = genoattn.scan_pairs(cohort, threshold=1.0).frame.set_index(["site_1", "site_2"])
    for a, b in ((2, 7), (0, 1), (5, 11)):
        first, second = cohort.calls[:, a].astype(float), cohort.calls[:, b].astype(float)
        fit = sm.OLS(cohort.phenotype.values, sm.add_constant(np.c_[first, second, first * second])).fit()
        row = rows.loc[(f"r{a}", f"r{b}")]
        np.testing.assert_allclose([row.effect, row.se], [fit.params[-1], fit.bse[-1]], rtol=1e-9)
        assert row.frequency == pytest.approx((first * second / 4).mean())


def test_scan_of_a_binary_trait_is_logistic_regression_on_the_dosages(cohort: Cohort) -> None:
    case = (cohort.phenotype.values > np.median(cohort.phenotype.values)).astype(float)
    binary = replace(cohort, phenotype=Phenotype("b", case, binary=True))
    everything = genoattn.scan_pairs(binary, threshold=1.0).frame.set_index(["site_1", "site_2"])
    for a, b in ((0, 1), (5, 11)):
        first, second = cohort.calls[:, a].astype(float), cohort.calls[:, b].astype(float)
        null = sm.Logit(case, sm.add_constant(np.c_[first, second])).fit(disp=0)
        fit = sm.Logit(case, sm.add_constant(np.c_[first, second, first * second])).fit(disp=0)
        row = everything.loc[(f"r{a}", f"r{b}")]
        ratio = np.sign(fit.params[-1]) * np.sqrt(2 * (fit.llf - null.llf))
        np.testing.assert_allclose([row.effect, row.statistic], [fit.params[-1], ratio], rtol=1e-6)
    # The screen misses none of what passes.
    some = genoattn.scan_pairs(binary, threshold=0.01).frame
    assert len(some) == (everything.p_value <= 0.01).sum()


@pytest.mark.parametrize("threshold", [1e-2, 1e-4])
def test_the_screen_finds_what_the_exact_scan_does(cohort: Cohort, threshold: float) -> None:
    everything = genoattn.scan_pairs(cohort, threshold=1.0).frame
    assert (
        len(genoattn.scan_pairs(cohort, threshold=threshold).frame) == (everything.p_value <= threshold).sum()
    )


def test_the_table_is_the_model(cohort: Cohort) -> None:
    model = genoattn.fit(cohort, seed=1)
    top = model.table.frame.query("order == 2").iloc[0]
    assert {top.site_1, top.site_2} == {"r2", "r7"}
    assert top.effect == pytest.approx(2, abs=0.4)
    predicted = model.predict(cohort)
    assert np.corrcoef(predicted, cohort.phenotype.values)[0, 1] > 0.8
    np.testing.assert_allclose(model.table.predict(cohort), predicted, rtol=1e-5, atol=1e-6)
    alone = model.predict(cohort.select_samples(np.array([17])))
    np.testing.assert_allclose(alone, predicted[[17]], rtol=1e-6)


def test_swapped_alleles_turn_dosages_round(cohort: Cohort) -> None:
    model = genoattn.fit(cohort, seed=1)
    sites = replace(cohort.sites, ref=cohort.sites.alt, alt=cohort.sites.ref)
    swapped = replace(cohort, sites=sites, calls=(2 - cohort.calls).astype(np.float32))
    np.testing.assert_allclose(model.predict(swapped), model.predict(cohort), rtol=1e-5, atol=1e-5)


def test_what_needs_hard_calls_says_so(cohort: Cohort) -> None:
    with pytest.raises(InputError, match="encoding 'genotype' needs hard calls, and these are dosages"):
        genoattn.fit(cohort, encoding="genotype")
    with pytest.raises(InputError, match="the genotypic test needs hard calls, and these are dosages"):
        genoattn.scan_pairs(cohort, threshold=0.1, test="genotypic")


def test_signals_of_dosages(cohort: Cohort) -> None:
    far = replace(cohort, sites=replace(cohort.sites, pos=cohort.sites.pos * 2000))
    table = genoattn.fit(far, seed=1).table.frame.query("order == 2")
    assert table.q_value.iloc[0] < 0.05


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p = probabilities(seed=5, n=200)
    x = dosages(p) - dosages(p).mean(axis=0)
    y = 2 * x[:, 2] * x[:, 7] + np.random.default_rng(4).normal(size=200) / 2
    write_text(tmp_path / "y.tsv", "IID\ty\n" + "".join(f"s{i}\t{v}\n" for i, v in enumerate(y)))
    tables = {}
    for name, field in (("x.vcf", ("--dosage-field", "GP")), ("x.bgen", ())):
        path = write_dosages(tmp_path / name, p)
        out = tmp_path / f"{name}.scan"
        done = run_in_process(["scan", path, "--pheno", tmp_path / "y.tsv", *field, "-o", out], capsys)
        assert done.status == 0
        tables[name] = genoattn.load_interactions(out).frame
    first, second = tables.values()
    assert len(first) == len(second) > 0
    np.testing.assert_allclose(first.effect, second.effect, rtol=1e-3)


def test_a_prediction_reads_what_the_fit_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p = probabilities(seed=6, n=150)
    x = dosages(p) - dosages(p).mean(axis=0)
    y = x[:, 2] + np.random.default_rng(4).normal(size=150) / 2
    write_text(tmp_path / "y.tsv", "IID\ty\n" + "".join(f"s{i}\t{v}\n" for i, v in enumerate(y)))
    vcf, model = write_dosages(tmp_path / "x.vcf", p), tmp_path / "model"
    fit = ["fit", vcf, "--pheno", tmp_path / "y.tsv", "--dosage-field", "DS", "--order", "1", "-o", model]
    assert run_in_process(fit, capsys).status == 0
    found = {}
    for name, options in (
        ("as fitted", []),
        ("asked", ["--dosage-field", "DS"]),
        ("hard", ["--dosage-field", "GT"]),
    ):
        done = run_in_process(["predict", model, vcf, *options], capsys)
        assert done.status == 0
        found[name] = done.out
        said = "the model was fitted on dosages, and these are hard calls"
        assert (said in done.err) == (name == "hard")
    assert found["as fitted"] == found["asked"] != found["hard"]


def test_haploid_dosages_are_counted(tmp_path: Path) -> None:
    log = read_one(tmp_path, "GT:DS", ["0:0.4", "0/1:1.2"], "DS").log
    assert (
        "1 haploid calls among diploid ones at 1 records of 1 count 0 or 2 copies; give sex as a covariate"
        in log
    )
    log = read_one(tmp_path, "DS", ["0.4", "1.2"], "DS").log
    assert "1 records without GT: DS is taken for that of diploid samples" in log


def test_names_of_a_sample_file_beside_a_bgen(tmp_path: Path) -> None:
    path = write_dosages(tmp_path / "x.bgen", probabilities(n=3, sites=2))
    write_text(tmp_path / "x.sample", "ID_1 ID_2 missing\n0 0 0\n0 a 0\n0 b 0\n0 c 0\n")
    cohort, _ = read_genotypes(path)
    assert cohort.samples.tolist() == ["a", "b", "c"]
    assert "names of samples from x.sample; those in the .bgen are others" in cohort.log
