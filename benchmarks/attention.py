"""Forward + backward time and peak memory of HyperAttention, of the dense definition and of PyTorch's
attention.

    python benchmarks/attention.py [folder] [--threads 1] [--repeats 5]

Contenders take turns within one run and the best time of each counts, so that the ratios hold on a busy
machine. Peak memory is what a forked process adds to its resident set (Linux). Writes attention.tsv,
attention.md and attention.png, by default to benchmarks/results. Exits with 1 if a required ratio is
missed.
"""

import argparse
import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import Tensor, nn

from genoattn.attention import HyperAttention

WIDTH, RANK = 64, 8
LENGTHS = [2**k for k in range(7, 15)]
ORDERS = (2, 3, 4)
# The dense definition is run where its largest tensor stays below this many numbers.
DENSE_LIMIT = 2**25
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


class DenseDefinition(nn.Module):
    """The same output by the einsum of the definition, every tuple of entities in memory."""

    def __init__(self, module: HyperAttention) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """A sample at a time, which is the least memory the definition can do with."""
        return torch.cat([self.one(sample) for sample in x.split(1)])

    def one(self, x: Tensor) -> Tensor:
        module, order, n = self.module, self.module.order, x.shape[1]
        i, others = "a", "bcdef"[: order - 1]
        keys = ",".join(f"z{j}r" for j in others)
        values = ",".join(f"z{j}o" for j in others)
        scores = torch.einsum(
            f"z{i}r,{keys}->z{i}{others}", x @ module.query[0], *[x @ key[0] for key in module.keys]
        )
        index = torch.arange(n)
        for first in range(order):
            for second in range(first):
                shape = [[n if axis == m else 1 for axis in range(order)] for m in (first, second)]
                scores = scores * (index.view(shape[0]) != index.view(shape[1]))
        return torch.einsum(
            f"z{i}{others},{values}->z{i}o", scores, *[x @ value[0] for value in module.values]
        )


class ScaledDotProduct(nn.Module):
    """PyTorch's own attention with its three projections, one head."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(WIDTH, 3 * WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).unsqueeze(1).chunk(3, dim=-1)
        return nn.functional.scaled_dot_product_attention(q, k, v).squeeze(1)


def contenders(n_entities: int) -> dict[str, nn.Module]:
    """Modules compared at one length."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, nn.Module] = {"scaled dot product": ScaledDotProduct()}
    for order in ORDERS:
        module = HyperAttention(WIDTH, WIDTH, order, RANK, generator=generator)
        nn.init.normal_(module.query, generator=generator)
        found[f"order {order}"] = module
        if n_entities**order <= DENSE_LIMIT:
            found[f"dense order {order}"] = DenseDefinition(module)
    return found


def step(module: nn.Module, x: Tensor) -> Callable[[], None]:
    """One forward and backward pass."""

    def run() -> None:
        module.zero_grad()
        module(x.detach().requires_grad_()).square().mean().backward()

    return run


def best_times(runs: dict[str, Callable[[], None]], n_repeats: int) -> dict[str, float]:
    """Seconds, the best of several turns."""
    best = dict.fromkeys(runs, float("inf"))
    for run in runs.values():
        run()
    for _ in range(n_repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def peak_memory(run: Callable[[], None]) -> float:
    """MiB that the run adds to the resident set of a forked process."""
    gc.collect()
    read, write = os.pipe()
    if os.fork() == 0:
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 2**16)  # tensors get pages of their own, which go back when freed
        torch.ones(1, requires_grad=True).sum().backward()  # starts autograd's thread
        libc.malloc_trim(0)
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        run()
        os.write(write, str((_resident("VmHWM") - before) / 1024).encode())
        os._exit(0)
    os.wait()
    return float(os.read(read, 64))


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def measure(n_repeats: int) -> pd.DataFrame:
    """All contenders at all lengths; columns length, name, seconds, mib."""
    rows = []
    for n_entities in LENGTHS:
        x = torch.randn(1, n_entities, WIDTH, generator=torch.Generator().manual_seed(1))
        runs = {name: step(module, x) for name, module in contenders(n_entities).items()}
        times = best_times(runs, n_repeats)
        memory = {name: peak_memory(run) for name, run in runs.items()}
        rows += [(n_entities, name, times[name], memory[name]) for name in runs]
        print(f"L = {n_entities}", {name: round(s * 1e3, 2) for name, s in times.items()}, file=sys.stderr)
    return pd.DataFrame(rows, columns=["length", "name", "seconds", "mib"])


def batched_speedup(n_repeats: int) -> float:
    """How many times faster than the dense definition: order 3, L = 256, batch 32, rank 8."""
    module = HyperAttention(WIDTH, WIDTH, 3, RANK)
    x = torch.randn(32, 256, WIDTH, generator=torch.Generator().manual_seed(1))
    times = best_times({"fast": step(module, x), "dense": step(DenseDefinition(module), x)}, n_repeats)
    return times["dense"] / times["fast"]


def requirements(found: pd.DataFrame, speedup: float) -> pd.DataFrame:
    """The ratios that must hold."""
    seconds = found.set_index(["name", "length"])["seconds"]
    rows = [("order 3, L = 256, batch 32: dense definition / ours", speedup, ">= 50", speedup >= 50)]
    for order in ORDERS:
        growth = seconds[f"order {order}", 8192] / seconds[f"order {order}", 1024]
        rows.append((f"order {order}: time at L = 8,192 / at 1,024", growth, "<= 10", growth <= 10))
    for order in ORDERS:
        ratio = seconds["scaled dot product", 4096] / seconds[f"order {order}", 4096]
        rows.append((f"order {order}, L = 4,096: scaled dot product / ours", ratio, "> 1", ratio > 1))
    table = pd.DataFrame(rows, columns=["ratio", "value", "needed", "met"])
    return table.assign(
        value=table["value"].map("{:.1f}".format), met=table["met"].map({True: "yes", False: "NO"})
    )


def plot(found: pd.DataFrame) -> plt.Figure:
    """Time and peak memory against length, both axes logarithmic."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    colours = {"scaled dot product": "0.3", "order 2": "C0", "order 3": "C1", "order 4": "C2"}
    for name, group in found.groupby("name"):
        dense = str(name).startswith("dense")
        colour = colours[str(name).removeprefix("dense ")]
        style = {"color": colour, "ls": "--" if dense else "-", "marker": "x" if dense else "o", "ms": 4}
        axes[0].loglog(group["length"], group["seconds"] * 1e3, label=name, **style)
        axes[1].loglog(group["length"], group["mib"], label=name, **style)
    axes[0].set(xlabel="entities", ylabel="forward + backward, ms", title="Time")
    axes[1].set(xlabel="entities", ylabel="peak memory added, MiB", title="Memory")
    for axis in axes:
        axis.set_xticks(LENGTHS, [str(n) for n in LENGTHS], fontsize=8)
        axis.minorticks_off()
    axes[0].legend(fontsize=8)
    return figure


def as_markdown(frame: pd.DataFrame) -> str:
    rows = [list(frame.columns), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def main() -> int:
    """Measure, write, and say what was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = measure(options.repeats)
    needed = requirements(found, batched_speedup(min(2, options.repeats)))
    options.folder.mkdir(parents=True, exist_ok=True)
    found.to_csv(options.folder / "attention.tsv", sep="\t", index=False, float_format="%.6g")
    wide = found.assign(
        ms=(found["seconds"] * 1e3).map("{:.3g}".format), mib=found["mib"].map("{:.3g}".format)
    )
    tables = [
        wide.pivot(index="length", columns="name", values=v).fillna("").reset_index() for v in ("ms", "mib")
    ]
    text = "\n".join(
        [
            f"Width {WIDTH}, rank {RANK}, batch 1, {options.threads} thread(s), torch {torch.__version__}.\n",
            as_markdown(needed),
            "Forward + backward, ms:\n",
            as_markdown(tables[0]),
            "Peak memory added, MiB:\n",
            as_markdown(tables[1]),
        ]
    )
    (options.folder / "attention.md").write_text(text)
    plot(found).savefig(options.folder / "attention.png", dpi=120)
    print(text)
    return int((needed["met"] == "NO").any())


if __name__ == "__main__":
    sys.exit(main())
