"""Reading genotypes: seconds and memory against the programs that read each format fastest, in one run.

    python benchmarks/read.py [--runs 5] [--scale 1.0] [--output benchmarks/results]

Makes cohorts of random genotypes, 1 % of them missing, in a temporary folder: 5,000 samples x 6,000 sites as
VCF (bgzip), BCF, PLINK 1 and 2 and VCF Zarr; 500 x 60,000 as VCF; 2,000 x 3,000 as VCF with AD, DP, GQ, PL.
"genoattn" is ``genoattn.read`` with its filters, in a process of its own that has read a tiny file before
(imports and compiled code are ready), "process" that process from start to end. The peers are plink2 (the
complete process: VCF to .pgen), cyvcf2 (``genotype.array`` of every record), bed-reader (int8), pgenlib
(``read_range``) and zarr (all of ``call_genotype``), imports excluded. Runs take turns; medians.

Prints a table, and saves it and a plot under ``results/``. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pysam.bcftools
from matplotlib.figure import Figure

HERE = Path(__file__).parent
# One process reads a tiny file, then the file; it prints seconds, and what else there is to say.
_TIMED = """
import sys, time
{imports}
def read(path): {read}
read(sys.argv[1])
start = time.perf_counter()
found = read(sys.argv[2])
print(time.perf_counter() - start, {more})
"""
_PEAK = "next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))"
OURS = _TIMED.format(
    imports="import genoattn", read="return genoattn.read(path)", more=f"found.calls.nbytes, {_PEAK}"
)
PEERS = {
    "cyvcf2": ("from cyvcf2 import VCF", "return sum(len(v.genotype.array()) for v in VCF(path))"),
    "bed-reader": ("from bed_reader import open_bed", "return open_bed(path).read(dtype='int8')"),
    "pgenlib": (
        "import pgenlib, numpy",
        "f = pgenlib.PgenReader(path.encode()); n = f.get_variant_ct(); "
        "out = numpy.empty((n, f.get_raw_sample_ct()), numpy.int8); f.read_range(0, n, out); return out",
    ),
    "zarr": ("import zarr", "return zarr.open_group(path, mode='r')['call_genotype'][...]"),
}
MODULES = {"bed-reader": "bed_reader"}
_HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=1>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Depths">\n'
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    '##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Quality">\n'
    '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Likelihoods">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"
)


def genotypes(n_samples: int, n_sites: int, seed: int = 1) -> np.ndarray:
    """Shape (n_sites, n_samples), uint8: copies of the alternate allele, 3 where missing."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.05, 0.5, (n_sites, 1)).astype(np.float32)
    out = np.zeros((n_sites, n_samples), dtype=np.uint8)
    for _ in range(2):
        out += rng.random(out.shape, dtype=np.float32) < frequency
    out[rng.random(out.shape, dtype=np.float32) < 0.01] = 3
    return out


def write_vcf(path: Path, copies: np.ndarray, rich: bool) -> Path:
    """A bgzipped VCF; ``rich`` with AD, DP, GQ and PL drawn from a pool of cells."""
    n_samples = copies.shape[1]
    texts = np.array([b"0/0\t", b"0/1\t", b"1/1\t", b"./.\t"])
    rng = np.random.default_rng(2)
    a, b, q, p = (rng.integers(low, high, 4 * 5000) for low, high in ((0, 40), (0, 40), (3, 99), (9, 999)))
    values = zip(a.tolist(), b.tolist(), q.tolist(), p.tolist(), strict=True)
    pool = np.array([f":{x},{y}:{x + y}:{z}:0,{z},{w}\t" for x, y, z, w in values])
    cells = np.char.add(np.repeat(["0/0", "0/1", "1/1", "./."], 5000), pool).astype(object)
    form = "GT:AD:DP:GQ:PL" if rich else "GT"
    plain = path.with_suffix("")
    with plain.open("wb") as file:
        file.write((_HEADER + "\t".join(f"S{i}" for i in range(n_samples)) + "\n").encode())
        for k, row in enumerate(copies):
            fixed = f"1\t{1000 + 50 * k}\trs{k}\tA\tG\t.\tPASS\t.\t{form}\t".encode()
            if rich:
                content = "".join(cells[5000 * row.astype(int) + rng.integers(0, 5000, n_samples)]).encode()
            else:
                content = texts[row].tobytes()
            file.write(fixed + content[:-1] + b"\n")
    pysam.tabix_compress(str(plain), str(path), force=True)
    plain.unlink()
    return path


def write_zarr(path: Path, copies: np.ndarray) -> Path:
    """A store of the layout of bio2zarr, in chunks of 1,000 records of all samples."""
    import zarr

    n_sites, n_samples = copies.shape
    calls = np.array([[0, 0], [0, 1], [1, 1], [-1, -1]], dtype=np.int8)[copies]
    arrays = {
        "call_genotype": calls,
        "variant_position": 1000 + 50 * np.arange(n_sites, dtype=np.int32),
        "variant_contig": np.zeros(n_sites, dtype=np.int8),
        "variant_id": np.array([f"rs{k}" for k in range(n_sites)], dtype=object),
        "variant_allele": np.array([["A", "G"]] * n_sites, dtype=object),
        "contig_id": np.array(["1"], dtype=object),
        "sample_id": np.array([f"S{i}" for i in range(n_samples)], dtype=object),
    }
    group = zarr.open_group(path, mode="w", zarr_format=2)
    for name, values in arrays.items():
        kind = str if values.dtype == object else values.dtype
        chunks = (min(1000, len(values)), *values.shape[1:])
        group.create_array(name, shape=values.shape, chunks=chunks, dtype=kind)[...] = values
    return path


def convert(vcf: Path, suffix: str) -> Path:
    """The VCF as BCF, or by plink2 as .bed or .pgen."""
    path = vcf.with_name(vcf.name.replace(".vcf.gz", suffix))
    if suffix == ".bcf":
        pysam.bcftools.view("-Ob", "-o", str(path), str(vcf), catch_stdout=False)
    else:
        plink2(vcf, suffix)
    return path


def plink2(vcf: Path, suffix: str = ".pgen") -> float:
    """Seconds of plink2, from a VCF to its own files."""
    prefix = vcf.with_name(vcf.name.replace(".vcf.gz", ""))
    make = ["--make-bed"] if suffix == ".bed" else ["--make-pgen"]
    return run(["plink2", "--vcf", str(vcf), *make, "--out", str(prefix)])[0]


def run(command: list[str]) -> tuple[float, list[str]]:
    """Seconds of a process, and the words of its last line."""
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment())
    return time.perf_counter() - start, (done.stdout.splitlines() or [""])[-1].split()


def environment() -> dict[str, str]:
    """The library of this checkout comes first."""
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def peer_seconds(peer: str, tiny: Path, path: Path) -> float:
    if peer == "plink2":
        return plink2(path)
    imports, read = PEERS[peer]
    script = _TIMED.format(imports=imports, read=read, more="0")
    return float(run([sys.executable, "-c", script, str(tiny), str(path)])[1][0])


def there(peer: str) -> bool:
    """Whether a peer is installed; says so if not."""
    module = MODULES.get(peer, peer)
    found = shutil.which(peer) if peer == "plink2" else importlib.util.find_spec(module)
    if found is None:
        print(f"{peer} is not installed: left out")
    return found is not None


def measure(what: str, tiny: Path, path: Path, peer: str, runs: int) -> dict[str, object]:
    """Medians of runs that take turns."""
    ours, whole, theirs = [], [], []
    peak = n_bytes = 0.0
    compare = there(peer)
    for _ in range(runs):
        seconds, (inside, calls, high) = run([sys.executable, "-c", OURS, str(tiny), str(path)])
        ours.append(float(inside))
        whole.append(seconds)
        n_bytes, peak = float(calls) / 1e6, max(peak, float(high) * 1024 / 1e6)
        if compare:
            theirs.append(peer_seconds(peer, tiny, path))
    peer_median = float(np.median(theirs)) if theirs else np.nan
    row = {
        "file": what, "genoattn s": np.median(ours), "process s": np.median(whole), "peer": peer,
        "peer s": peer_median, "ratio": peer_median / np.median(ours), "calls MB": n_bytes, "peak MB": peak,
    }  # fmt: skip
    print(pd.DataFrame([row]).to_string(index=False, header=False, float_format="{:.2f}".format), flush=True)
    return row


def cases(folder: Path, scale: float) -> list[tuple[str, Path, Path, str]]:
    """What is read, a tiny file of the kind, the file, and the peer."""

    def pair(name: str, n_samples: int, n_sites: int, rich: bool = False) -> tuple[Path, Path, np.ndarray]:
        copies = genotypes(n_samples, max(20, int(n_sites * scale)))
        tiny = write_vcf(folder / f"tiny_{name}.vcf.gz", copies[:20, :40], rich)
        return tiny, write_vcf(folder / f"{name}.vcf.gz", copies, rich), copies

    tiny, large, copies = pair("a", 5000, 6000)
    name = f"5,000 x {len(copies):,}"
    found = [(f"{name}, VCF", tiny, large, "plink2")]
    found.append((f"{name}, BCF", convert(tiny, ".bcf"), convert(large, ".bcf"), "cyvcf2"))
    if shutil.which("plink2"):
        for suffix, peer in ((".bed", "bed-reader"), (".pgen", "pgenlib")):
            found.append((f"{name}, {suffix}", convert(tiny, suffix), convert(large, suffix), peer))
    stores = write_zarr(folder / "tiny.vcz", copies[:20, :40]), write_zarr(folder / "a.vcz", copies)
    found.append((f"{name}, .vcz", *stores, "zarr"))
    for label, n_samples, n_sites, rich in (
        ("VCF", 500, 60_000, False),
        ("VCF, AD DP GQ PL", 2000, 3000, True),
    ):
        tiny, large, copies = pair(f"n{n_samples}", n_samples, n_sites, rich)
        found.append((f"{n_samples:,} x {len(copies):,}, {label}", tiny, large, "plink2"))
    return found


def conditions(runs: int) -> str:
    """Processor, load and versions."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next((line.partition(": ")[2] for line in text.splitlines() if line.startswith("model name")), "?")
    versions = [f"numpy {np.__version__}", f"pysam {pysam.__version__}"]
    versions += [
        f"{module} {importlib.metadata.version(module)}"
        for module in ("numba", "isal", *PEERS)
        if importlib.util.find_spec(MODULES.get(module, module))
    ]
    if shutil.which("plink2"):
        versions.append(
            subprocess.run(["plink2", "--version"], capture_output=True, text=True).stdout.strip()
        )
    wide = "with" if "avx512f" in text else "without"
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"median of {runs}; {name} {wide} AVX-512, {os.cpu_count()} cores, load average {load} at the end\n"
        f"{', '.join(versions)}"
    )


def plot(table: pd.DataFrame, path: Path) -> None:
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axis = figure.subplots()
    place = np.arange(len(table))
    axis.barh(place - 0.2, table["peer s"], 0.4, label="peer", color="tab:grey")
    axis.barh(place + 0.2, table["genoattn s"], 0.4, label="genoattn", color="tab:blue")
    for y, row in zip(place, table.to_dict("records"), strict=True):
        axis.text(row["peer s"], y - 0.2, f" {row['peer']}", va="center", fontsize=8)
    axis.set_yticks(place, table["file"], fontsize=8)
    axis.set_xlim(right=1.25 * np.nanmax(table[["peer s", "genoattn s"]].to_numpy()))
    axis.set(xlabel="seconds", title="Reading genotypes")
    axis.invert_yaxis()
    axis.legend(loc="center right")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of sites")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        table = pd.DataFrame([measure(*case, given.runs) for case in cases(Path(folder), given.scale)])
    said = conditions(given.runs)
    text = table.to_string(index=False, float_format="{:.2f}".format)
    print(f"\n{text}\n\n{said}")
    table.to_csv(given.output / "read.tsv", sep="\t", index=False, float_format="%.4g")
    (given.output / "read.md").write_text(f"```\n{text}\n\n{said}\n```\n")
    plot(table, given.output / "read.png")


if __name__ == "__main__":
    main()
