"""Numbers, terms and units in the words of a report."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from genoattn.cohort import ENVIRONMENT
from genoattn.interactions.schema import Manifest

NORMAL_95 = 1.96
FLAGS = {
    "linked": "the sites are linked (r² of 0.1 or more), which leaves few samples that tell the product",
    "phantom": "the signal vanishes when adjusted for the variation around both sites: one untyped variant "
    "may explain it",
    "rare": "fewer than 10 samples carry the joint state",
    "unseen": "no sample carries the joint state, so that nothing was tested",
    "proxy": "linked to the lead of the same interaction, which alone is tested",
    "repeat": "the same contrast as an earlier row, with the opposite sign or from the other allele",
}


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number with so many significant digits, without an exponent where it can be read without."""
    if value is None or not math.isfinite(value):
        return ""
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size > 6:
        return f"{value:{'+' if sign else ''}.{digits - 1}e}"
    rounded = round(value, digits - 1 - size)
    return f"{rounded:{'+' if sign else ''},.{max(0, digits - 1 - size)}f}"


def interval(value: float, se: float, digits: int = 2) -> str:
    """``0.97 (0.77 to 1.17)``: a value with its 95 % interval, to the digits that the value has."""
    if not (math.isfinite(se) and math.isfinite(value)):
        return number(value, digits)
    low, high = value - NORMAL_95 * se, value + NORMAL_95 * se
    return f"{number(value, digits)} ({ends(low, high, value, digits)})"


def ends(low: float, high: float, value: float, digits: int = 2) -> str:
    """``0.77 to 1.17``, to as many decimals as ``value`` has with so many significant digits."""
    size = math.floor(math.log10(abs(value))) if value else 0
    if not -4 <= size <= 6:  # as number() has it
        return f"{number(low, digits)} to {number(high, digits)}"
    decimals = digits - 1 - size
    low, high = (round(x, decimals) + 0.0 for x in (low, high))  # -0.0 + 0.0 is 0.0
    return f"{low:,.{max(0, decimals)}f} to {high:,.{max(0, decimals)}f}"


def p_text(value: float) -> str:
    """``4.1e-17`` or ``0.041``."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.1e}" if value < 1e-3 else f"{value:.2g}"


def percent(share: float) -> str:
    """``8.5 %``, ``43 %``, ``under 0.1 %``."""
    if not math.isfinite(share):
        return ""
    if 0 < abs(share) < 0.001:
        return "under 0.1 %"
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 else f"{100 * share:.2g} %"


def shortened(name: str, longest: int) -> str:
    """A long name without its middle: its ends tell names apart."""
    if len(name) <= longest:
        return name
    return f"{name[: longest // 2]}\u2026{name[len(name) - longest + longest // 2 + 1 :]}"


def plural(n: int, one: str, many: str = "") -> str:
    """``1 pair``, ``6,786 pairs``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def token(site: str, state: str, ref: str = "") -> str:
    """``GA1[C]``; of a residue ``S30R``."""
    named = ref and state != ref and re.fullmatch(rf"{re.escape(ref)}\d+", site)
    return f"{site}{state}" if named else f"{site}[{state}]"


def tokens_of(row: Mapping[Any, Any], order: int, is_landscape: bool) -> list[str]:
    """Names of the alleles or residues of a row."""
    ref = (lambda k: str(row[f"ref_{k}"])) if is_landscape else (lambda k: "")
    return [token(str(row[f"site_{k}"]), str(row[f"state_{k}"]), ref(k)) for k in range(1, order + 1)]


def term_name(row: Mapping[Any, Any], is_landscape: bool) -> str:
    """``GA1[C] x GH.117C[C]``."""
    order = int(row["order"])
    return " x ".join(tokens_of(row, order, is_landscape)) if order else "intercept"


def place(row: Mapping[Any, Any], k: int) -> str:
    """``4:902,700``; empty where the site has no chromosome, as environments, or is named by its place."""
    chrom, pos, site = str(row[f"chrom_{k}"]), row[f"pos_{k}"], str(row[f"site_{k}"])
    if chrom == ENVIRONMENT:
        return ""
    return "" if not chrom or site.startswith(f"{chrom}:{pos}") else f"{chrom}:{int(pos):,}"


def scale(manifest: Manifest) -> str:
    """Scale of the coefficients: ``latent``, ``log-odds``, ``counts``, ``log``, ``rank`` or ``own``."""
    if manifest.model.get("link") not in (None, "none"):
        return "latent"
    if manifest.binary:
        return "log-odds"
    if manifest.model.get("likelihood") in ("poisson", "negative-binomial"):
        return "counts"
    return {"none": "own"}.get(manifest.transform, manifest.transform)


def unit_words(manifest: Manifest) -> str:
    """``log units``, ``units of 3.Butenyl`` and so on."""
    words = {
        "latent": "latent units",
        "log-odds": "log-odds",
        "counts": "log units of the mean count",
        "log": "log units",
        "rank": "standard deviations",
    }
    return words.get(scale(manifest), f"units of {manifest.trait}")


def unit_note(manifest: Manifest) -> str:
    """What the unit is, a sentence; empty where it speaks for itself."""
    notes = {
        "latent": f"Latent units are those of {manifest.trait} before the curve that links the sum of "
        "effects to the measurement; they have its mean and standard deviation.",
        "rank": "The trait was turned into normal scores; effects are in their standard deviations.",
    }
    return notes.get(scale(manifest), "")


def fold(effect: float, se: float, manifest: Manifest) -> str:
    """``2.6 (2.2 to 3.2)``, the factor that an effect on a logarithm is; empty for other scales or sizes."""
    if scale(manifest) not in ("log", "counts", "log-odds") or not math.isfinite(effect):
        return ""
    if abs(effect) > 12:
        return "more than 100,000" if effect > 0 else "less than 1 in 100,000"
    value = math.exp(effect)
    if not math.isfinite(se) or NORMAL_95 * se > 12:
        return number(value)
    low, high = (math.exp(effect + s * NORMAL_95 * se) for s in (-1, 1))
    return f"{number(value)} ({number(low)} to {number(high)})"


def flag_words(flag: str) -> str:
    """Flags of a row as sentences; empty for none."""
    said = [FLAGS.get(name, name) for name in str(flag).split(";") if name and name != "nan"]
    return "; ".join(said)


def is_inbred(manifest: Manifest) -> bool:
    """Whether no sample is heterozygous: every site has dosages 0 and 2 alone, by mean and variance."""
    v, genome = manifest.vocabulary, ~manifest.sites.is_environment
    if not v.is_dosage or not genome.any() or (v.n_states[genome] != 3).any():
        return False
    mean, variance = v.mean[genome], v.variance[genome]
    return bool(np.allclose(variance, mean * (2 - mean), rtol=1e-6, atol=1e-9))


def copies(manifest: Manifest) -> int:
    """Copies of the effect allele of a homozygote; 1 for states and haploid samples."""
    v, genome = manifest.vocabulary, ~manifest.sites.is_environment
    return int(v.n_states[genome].max()) - 1 if v.is_dosage and genome.any() else 1
