"""Regenerate the paper's experiments: python benchmarks/paper/run.py [folder].

Writes paper.tsv, paper.md and four figures to the folder, benchmarks/paper/results by default; about a
minute on one core. Exits with 1 if a number misses its bound.
"""

import argparse
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import torch
from experiments import (
    coupled_feature_comparison,
    exact_construction,
    training_and_generalisation,
    trigram_comparison,
)
from plots import plot_comparisons, plot_construction, plot_lengths, plot_tables
from results import as_frame, as_markdown


def main(folder: Path) -> int:
    """Run everything, write everything, say what missed."""
    torch.set_num_threads(1)  # the matrices are small
    construction = exact_construction()
    lines, runs = training_and_generalisation()
    comparisons = [coupled_feature_comparison(), trigram_comparison()]
    frame = as_frame([*construction.lines, *lines, *comparisons[0].lines, *comparisons[1].lines])
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "paper.tsv", sep="\t", index=False)
    (folder / "paper.md").write_text(as_markdown(frame))
    figures = {
        "construction": plot_construction(construction),
        "lengths": plot_lengths(runs),
        "tables": plot_tables(runs[0]),
        "comparisons": plot_comparisons(comparisons),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=120)
    print(frame.to_string(index=False))
    return int((frame["met"] == "NO").any())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "results")
    sys.exit(main(parser.parse_args().folder))
