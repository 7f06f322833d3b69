"""Figures for papers, drawn with matplotlib: ``genoattn.plot.interaction(table, 0, cohort)``.

Every function draws into the Axes it is given, or into a new one of the width of a journal's column, and
returns the Axes. Colours are those of Okabe & Ito, told apart by the colour-blind. Settings of matplotlib are
left as they are. :func:`genoattn.plot.save` writes PDF and SVG whose text stays text.
"""

from importlib import import_module
from typing import Any

# Resolved on first use: matplotlib is imported by the first figure.
_HOME = {
    "figure": "genoattn.plot.figure_style",
    "save": "genoattn.plot.figure_style",
    "style": "genoattn.plot.figure_style",
    "PALETTE": "genoattn.plot.figure_style",
    "interaction": "genoattn.plot.interaction_plot",
    "terms": "genoattn.plot.term_plots",
    "heatmap": "genoattn.plot.term_plots",
    "arcs": "genoattn.plot.genome_plots",
    "circos": "genoattn.plot.circos_plot",
    "manhattan": "genoattn.plot.genome_plots",
    "qq": "genoattn.plot.scan_plots",
    "variance": "genoattn.plot.run_plots",
    "link": "genoattn.plot.run_plots",
    "fit": "genoattn.plot.run_plots",
    "calibration": "genoattn.plot.run_plots",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'genoattn.plot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
