"""One line of the table of results."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Line:
    """A measured number and the paper's.

    Attributes
    ----------
    experiment, setting, quantity
        What was measured, and on what.
    paper
        What the paper reports, as text.
    ours
        The measured number.
    needed
        The bound it must keep, as text: "<= x", ">= x"; empty where the number only informs.
    """

    experiment: str
    setting: str
    quantity: str
    paper: str
    ours: float
    needed: str = ""

    @property
    def met(self) -> str:
        if not self.needed:
            return ""
        sign, bound = self.needed.split()
        below = self.ours <= float(bound)
        return "yes" if (below if sign == "<=" else self.ours >= float(bound)) else "NO"


def as_frame(lines: list[Line]) -> pd.DataFrame:
    """The table, one row a line."""
    return pd.DataFrame(
        [(e.experiment, e.setting, e.quantity, e.paper, f"{e.ours:.3g}", e.needed, e.met) for e in lines],
        columns=["experiment", "setting", "quantity", "paper", "ours", "needed", "met"],
    )


def as_markdown(frame: pd.DataFrame) -> str:
    """The same as a Markdown table, without further packages."""
    rows = [list(frame.columns), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
