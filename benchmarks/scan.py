"""The scan against PLINK 1.9 in one run, with missing calls: speed, same list, calibration; a table, a plot.

    python benchmarks/scan.py [--samples 2000 10000] [--sites 4000] [--missing 0.01] [--plink plink1.9]
                              [--output benchmarks/results]

Both read the same PLINK files and use the same threads. "scan" is the time in the scan itself, once the
compiled code is loaded (PLINK: the complete process, whose reading takes under 0.1 s), "process" that of the
complete command; the best of several runs. "first" is the first command with an empty cache of compiled code.
The processor's vector instructions are printed: set NUMBA_CPU_NAME=haswell and OPENBLAS_CORETYPE=Haswell to
see what a processor without AVX-512 does.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import genoattn
from genoattn.scan.binary import logistic_pairs
from genoattn.scan.exact import regress_pairs
from genoattn.scan.pair_scan import make_scan_design
from genoattn.scan.scope import make_scope
from genoattn.scan.settings import ScanConfig
from genoattn.simulate import simulate_cohort
from genoattn.tokens import build_vocabulary

THREADS = 2


def write_plink(prefix: Path, n_samples: int, n_sites: int, missing: float, seed: int = 1) -> None:
    """Independent sites, a normal trait, a disease of 40 %, ten covariates."""
    rng = np.random.default_rng(seed)
    copies = rng.binomial(2, rng.uniform(0.05, 0.5, n_sites), (n_samples, n_sites))
    code = np.array([3, 2, 0], dtype=np.uint8)[copies]
    code[rng.random(code.shape) < missing] = 1
    code = np.vstack([code, np.zeros(((-n_samples) % 4, n_sites), np.uint8)]).T.reshape(n_sites, -1, 4)
    packed = code[:, :, 0] | code[:, :, 1] << 2 | code[:, :, 2] << 4 | code[:, :, 3] << 6
    Path(f"{prefix}.bed").write_bytes(b"\x6c\x1b\x01" + packed.astype(np.uint8).tobytes())
    bim = (f"{1 + 5 * i // n_sites} rs{i} 0 {1000 * (i + 1)} A G\n" for i in range(n_sites))
    Path(f"{prefix}.bim").write_text("".join(bim))
    names = [f"S{i}" for i in range(n_samples)]
    Path(f"{prefix}.fam").write_text("".join(f"{s} {s} 0 0 1 -9\n" for s in names))
    table = pd.DataFrame({"FID": names, "IID": names, "quantity": rng.normal(size=n_samples).round(6)})
    table["disease"] = 1 + (rng.random(n_samples) < 0.4)
    table.to_csv(f"{prefix}.pheno", sep=" ", index=False)
    covariates = pd.DataFrame(rng.normal(size=(n_samples, 10)).round(6)).add_prefix("c")
    covariates.insert(0, "IID", names)
    for k in (3, 10):
        covariates.iloc[:, : k + 1].to_csv(f"{prefix}.covar{k}", sep="\t", index=False)


def timed(command: list[str], **environment: str) -> tuple[float, str]:
    start = time.perf_counter()
    env = os.environ | environment
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return time.perf_counter() - start, done.stdout


def plink(program: str, prefix: Path, trait: str, *options: str) -> tuple[float, Path]:
    out = prefix.with_name("_".join(["plink", trait, options[0].strip("-")]))
    command = [program, "--bfile", str(prefix), "--pheno", f"{prefix}.pheno", "--pheno-name", trait]
    command += ["--allow-no-sex", "--epi1", "1e-4", "--threads", str(THREADS), "--out", str(out), *options]
    return timed(command)[0], out


def ours(prefix: Path, trait: str, *options: str, **environment: str) -> tuple[float, float, Path]:
    """Seconds in the scan and of the complete process, and the output folder."""
    out = prefix.with_name("_".join(["genoattn", trait, options[0].strip("-")]))
    command = [sys.executable, "-m", "genoattn_cli.main", "scan", str(prefix), "--pheno", f"{prefix}.pheno"]
    command += ["--trait", trait, "--threads", str(THREADS), "-o", str(out), "--force", "--quiet", *options]
    process, _ = timed(command, **environment)
    return pd.read_json(out / "scan.json", typ="series")["seconds_scanning"], process, out


def best(prefix: Path, trait: str, *options: str, n: int = 4) -> tuple[float, float, Path]:
    """The least of several runs."""
    runs = [ours(prefix, trait, *options) for _ in range(n)]
    return min(r[0] for r in runs), min(r[1] for r in runs), runs[0][2]


def first(prefix: Path, trait: str, *options: str) -> float:
    """Seconds of a command that has to compile."""
    with tempfile.TemporaryDirectory() as cache:
        return ours(prefix, trait, *options, NUMBA_CACHE_DIR=cache)[1]


def compare(out: Path, theirs: Path) -> str:
    """Whether both list the same pairs at PLINK's threshold, and the largest relative difference of t."""
    mine = genoattn.load_interactions(out).frame
    theirs_table = pd.read_csv(f"{theirs}.epi.qt", sep=r"\s+")
    limit = stats.chi2.isf(1e-4, 1)
    mine = mine[mine["statistic"] ** 2 >= limit]
    both = mine.merge(theirs_table, left_on=["site_1", "site_2"], right_on=["SNP1", "SNP2"])
    off = (both["statistic"].abs() / np.sqrt(both["STAT"]) - 1).abs().max()
    same = len(mine) == len(theirs_table) == len(both)
    return f"{len(theirs_table):,} pairs, {'the same list' if same else 'LISTS DIFFER'}, t within {off:.1e}"


def against_plink(
    program: str, folder: Path, n_samples: int, n_sites: int, missing: float
) -> tuple[list[dict], list[str]]:
    """Rows of the table, and lines about first runs."""
    prefix = folder / f"cohort{n_samples}"
    write_plink(prefix, n_samples, n_sites, missing)
    wide = ("--threshold", "1.05e-4")  # PLINK's chi-squared p-values are a little smaller than those of t
    plink_linear, listed = plink(program, prefix, "quantity", "--epistasis")
    boost = min(plink(program, prefix, "disease", "--fast-epistasis", "boost")[0] for _ in range(4))
    three, ten = (("--covar", f"{prefix}.covar{k}") for k in (3, 10))
    lines = []
    for trait, options, what in (
        ("quantity", wide, "quantitative"),
        ("disease", wide, "binary"),
        ("disease", three, "binary, three covariates"),
    ):
        if n_samples == 2000:
            slow, fast = first(prefix, trait, *options), best(prefix, trait, *options, n=2)[1]
            lines.append(f"first scan, {what}: {slow:.1f} s, later {fast:.1f} s, {slow - fast:.1f} s more")
    scan, process, out = best(prefix, "quantity", *wide)
    with_ten, _, _ = best(prefix, "quantity", *ten)
    cells, cells_process, _ = best(prefix, "disease", *wide)
    adjusted, adjusted_process, _ = best(prefix, "disease", *three)
    pairs = n_sites * (n_sites - 1) / 2e6
    size = f"{n_samples:,} x {n_sites:,}"

    def row(what: str, theirs: float, mine: float, note: str = "") -> dict:
        return {
            "cohort": size,
            "what": what,
            "PLINK M pairs/s": pairs / theirs,
            "genoattn M pairs/s": pairs / mine,
            "ratio": theirs / mine,
            "note": note,
        }

    return [
        row("quantitative, scan", plink_linear, scan, compare(out, listed)),
        row("quantitative, process", plink_linear, process),
        row("quantitative, ten covariates", plink_linear, with_ten, f"{with_ten / scan:.2f} times none"),
        row("binary v boost, scan", boost, cells, "exact likelihood ratio"),
        row("binary v boost, process", boost, cells_process),
        row("binary, three covariates, v boost", boost, adjusted, "exact likelihood ratio, three covariates"),
        row("binary, three covariates, process", boost, adjusted_process),
    ], lines


def triples() -> str:
    rng = np.random.default_rng(2)
    simulation = simulate_cohort(n_samples=2000, n_sites=500, architecture="null", linkage="none", seed=3)
    cohort = simulation.cohort
    x = cohort.calls - cohort.calls.mean(axis=0)
    product = x[:, 20] * x[:, 200] * x[:, 400]
    trait = 0.3 * product / product.std() + rng.normal(size=2000)
    cohort = _with_trait(cohort, trait)
    found = [genoattn.scan_triples(cohort, 1e-5) for _ in range(3)]
    best = min(found, key=lambda r: r.counts["seconds_scanning"])
    sites = list(best.frame[["site_1", "site_2", "site_3"]].iloc[0])
    first = sites == list(cohort.sites.ids[[20, 200, 400]])
    rate = best.counts["n_tests"] / best.counts["seconds_scanning"] / 1e6
    return f"triples, 2,000 x 500: {rate:.1f} M/s; planted triple (8 % of variance) first: {first}"


def _with_trait(cohort, values, binary: bool = False):
    from dataclasses import replace

    from genoattn.cohort import Phenotype

    return replace(cohort, phenotype=Phenotype("trait", values, binary))


def calibration(n_samples: int = 2100, n_sites: int = 1600, n_pairs: int = 1_000_000) -> list:
    """p-values of a million pairs under the null, sites in linkage, beyond 1 Mb."""
    simulation = simulate_cohort(n_samples=n_samples, n_sites=n_sites, architecture="null", seed=5)
    rng = np.random.default_rng(6)
    out = []
    for name, values, binary in (
        ("quantitative", rng.normal(size=n_samples), False),
        ("binary 1:20", (np.arange(n_samples) < n_samples / 21)[rng.permutation(n_samples)] * 1.0, True),
    ):
        cohort = _with_trait(simulation.cohort, values, binary)
        design = make_scan_design(cohort, build_vocabulary(cohort, "dosage"), ScanConfig())
        every = np.flatnonzero(design.columns.varies)
        scope = make_scope(cohort.sites, np.arange(n_sites), every, every, 1_000_000, None)
        a, b = np.nonzero(scope.allowed(every, every))
        keep = rng.choice(len(a), min(len(a), n_pairs), replace=False)
        pairs = np.stack([every[a[keep]], every[b[keep]]], axis=1)
        test = logistic_pairs if binary else regress_pairs
        with ThreadPoolExecutor(THREADS) as pool:
            tests = list(
                pool.map(lambda part, d=design, v=values, t=test: t(d, v, part), np.array_split(pairs, 200))
            )
        p = np.concatenate([t.p_value for t in tests])
        out.append((name, p[np.isfinite(p)]))
    return out


def processor() -> str:
    """Name of the processor, and the vectors that the compiled code and the matrix products use."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"model name\s*: (.*)", text)
    names = [os.environ.get(name, "native") for name in ("NUMBA_CPU_NAME", "OPENBLAS_CORETYPE")]
    wide = "with" if "avx512f" in text else "without"
    return (
        f"{found[1] if found else 'processor'} {wide} AVX-512, numba for {names[0]}, OpenBLAS for {names[1]}"
    )


def memory() -> str:
    """Peak memory of a slice of a large scan, in a process of its own."""
    script = Path(__file__).with_name("scan_memory.py")
    return timed([sys.executable, str(script)])[1].strip()


def describe(name: str, p: np.ndarray) -> str:
    inflation = stats.chi2.isf(np.median(p), 1) / stats.chi2.isf(0.5, 1)
    distance = stats.kstest(p, "uniform").statistic
    return (
        f"null, {name}: {len(p):,} pairs beyond 1 Mb, 5 % tail {np.mean(p < 0.05):.2%}, "
        f"genomic inflation {inflation:.3f}, Kolmogorov-Smirnov distance {distance:.4f}"
    )


def plot(table: pd.DataFrame, nulls: list[tuple[str, np.ndarray]], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 6), layout="constrained")
    place = np.arange(len(table))
    left.barh(place - 0.2, table["PLINK M pairs/s"], 0.4, label="PLINK 1.9", color="tab:grey")
    left.barh(place + 0.2, table["genoattn M pairs/s"], 0.4, label="genoattn", color="tab:blue")
    left.set_yticks(place, [f"{r['what']}\n{r['cohort']}" for r in table.to_dict("records")], fontsize=7)
    left.set(xscale="log", xlabel="million pairs a second, two threads", title="All pairs, p <= 1e-4")
    left.invert_yaxis()
    left.set_xlim(right=100)
    left.legend(loc="lower right")
    for name, p in nulls:
        p = np.sort(p)
        expected = (np.arange(len(p)) + 0.5) / len(p)
        right.plot(-np.log10(expected), -np.log10(p), ".", markersize=2, label=name)
    right.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    right.set(xlabel="expected -log10 p", ylabel="observed -log10 p", title="Null traits, linked sites")
    right.legend()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, nargs="+", default=[2000, 10000])
    parser.add_argument("--sites", type=int, default=4000)
    parser.add_argument("--missing", type=float, default=0.01, help="share of the calls")
    parser.add_argument("--plink", default="plink1.9", help="the PLINK 1.9 program")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    lines = [f"{options.missing:.0%} of the calls missing, threshold 1e-4, {THREADS} threads, {processor()}"]
    print(lines[0])
    with tempfile.TemporaryDirectory() as folder:
        for n_samples in options.samples:
            some, more = against_plink(options.plink, Path(folder), n_samples, options.sites, options.missing)
            rows, lines = rows + some, lines + more
            print(pd.DataFrame(some).to_string(index=False, float_format="{:.2f}".format), flush=True)
    table = pd.DataFrame(rows)
    nulls = calibration()
    lines += [triples(), memory(), *(describe(name, p) for name, p in nulls)]
    print("\n".join(lines))
    table.to_csv(options.output / "scan.tsv", sep="\t", index=False, float_format="%.4g")
    text = table.to_string(index=False, float_format="{:.2f}".format)
    (options.output / "scan.md").write_text("```\n" + text + "\n\n" + "\n".join(lines) + "\n```\n")
    plot(table, nulls, options.output / "scan.png")


if __name__ == "__main__":
    main()
