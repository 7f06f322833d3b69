"""Genotypes of a new cohort laid out as a model expects: its sites, in its order, its effect alleles counted.

A call depends on the sample's own record alone: which alleles the file's other samples have, and how many
copies of a chromosome, changes nothing.
"""

import logging
from dataclasses import dataclass

import numpy as np

from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.errors import InputError
from genoattn.tokens.record_alleles import RecordAlleles, same_chromosomes
from genoattn.tokens.site_places import MatchBy, SitePlaces

_log = logging.getLogger(__name__)


def align_genotypes(cohort: Cohort, sites: Sites, source: str, match_by: MatchBy) -> np.ndarray:
    """Copies of the effect alleles of ``sites`` in a cohort: (n_samples, n_model_sites), int8, -1 missing.

    Sites match by place, ``match_by`` position (names of chromosomes may differ by the prefix ``chr``) or
    ID, and by alleles in either order. A site that the file records without the effect allele, because none
    of its samples carries one, has 0 copies where it is called; where the only allele is the effect allele,
    all copies. Further alleles of the file are no copies. Strands are not guessed. Haploid calls at a site
    where the model counts two copies are doubled where the cohort was read so.
    """
    places = SitePlaces.of(cohort.sites, sites, match_by)
    absent, other = places.unmatched
    if absent or other:
        raise _mismatch(cohort.sites, sites, places, source)
    laid = _Layout(cohort, source)
    out = np.empty((cohort.n_samples, len(sites)), dtype=cohort.calls.dtype)
    for k, found in enumerate(places.records):
        assert found is not None
        out[:, k] = laid.copies(found, sites, k, places.repeats[k])
    places.report(len(sites), source)
    if laid.n_doubled:
        text = "%s: %d haploid calls at %d sites count 0 or 2 copies, as in the fit"
        _log.info(text, source, laid.n_doubled, laid.n_doubled_sites)
    return out


@dataclass(eq=False)
class _Layout:
    """Calls of a cohort as copies in the ploidy of a model; counts what it doubles."""

    cohort: Cohort
    source: str
    n_doubled: int = 0
    n_doubled_sites: int = 0

    def copies(self, record: RecordAlleles, sites: Sites, k: int, repeat: tuple[int, int]) -> np.ndarray:
        """Copies of the effect allele of a model's site ``k`` in the calls of a record, (n_samples,)."""
        alt, ploidy, name = sites.alt[k], len(sites.states[k]) - 1, sites.ids[k]
        chosen = self._chosen(record, alt, name, repeat)
        calls, own = self._calls(chosen)
        is_missing = (calls == MISSING).any(axis=1)
        if own < ploidy and (own, ploidy) != (1, 2) and not is_missing.all():
            raise InputError(
                f"{self.source}: calls of ploidy {own} at {name}, where the model knows ploidy {ploidy}; "
                "call the samples as those of the fit were called"
            )
        if alt in record.columns:
            out = calls[:, 0]
        elif alt == record.ref:
            out = self._ploidy(chosen, own) - calls.sum(axis=1)
        else:
            out = np.zeros(len(calls), dtype=calls.dtype)
        if (own, ploidy) == (1, 2) and self.cohort.haploid == "double":
            self.n_doubled += int((~is_missing).sum())
            self.n_doubled_sites += 1
            out = 2 * out
        self._check(out[~is_missing], self.cohort.samples[~is_missing], ploidy, name, record)
        return np.where(is_missing, MISSING, out)

    def _chosen(self, record: RecordAlleles, alt: str, name: str, repeat: tuple[int, int]) -> list[int]:
        """Columns of calls that tell the copies of ``alt``: its own, else those of all alternate alleles."""
        lists = [record.columns[alt]] if alt in record.columns else list(record.columns.values())
        nth, times = repeat
        for columns in lists:
            if len(columns) not in (1, times):
                raise InputError(
                    f"{self.source}: {len(columns)} records of {name} have different calls, and the model "
                    f"has {times} of it; keep one of them"
                )
        return [columns[nth if len(columns) > 1 else 0] for columns in lists]

    def _calls(self, chosen: list[int]) -> tuple[np.ndarray, int]:
        """Calls of columns, (n_samples, n_columns), and their ploidy."""
        calls = self.cohort.calls[:, chosen]
        calls = calls if self.cohort.has_dosages else calls.astype(np.int16)
        each = np.array([len(self.cohort.sites.states[c]) - 1 for c in chosen])
        own = int(each.max())
        if self.cohort.haploid == "double" and own == 2:  # some records of a place may be haploid in all
            calls = np.where((calls != MISSING) & (each == 1), 2 * calls, calls)
        return calls, own

    def _ploidy(self, chosen: list[int], own: int) -> np.ndarray | int:
        """Copies of a chromosome in each call, (n_samples,) or of all of them."""
        if self.cohort.is_haploid is None:
            return own
        return np.where(self.cohort.is_haploid[:, chosen].any(axis=1), 1, own)

    def _check(
        self, copies: np.ndarray, samples: np.ndarray, ploidy: int, name: str, record: RecordAlleles
    ) -> None:
        """Refuse more copies than the model knows, and records that together have too many."""
        if copies.max(initial=0) > ploidy:
            raise InputError(
                f"{self.source}: sample {samples[int(copies.argmax())]} has {copies.max():g} copies at "
                f"{name}, where the model knows ploidy {ploidy}; check the ploidy of the calls"
            )
        if copies.min(initial=0) < 0:
            raise InputError(
                f"{self.source}: sample {samples[int(copies.argmin())]} has more copies of "
                f"{', '.join(record.columns)} together than chromosomes at {name}; correct its records there"
            )


def _mismatch(own: Sites, sites: Sites, places: SitePlaces, source: str) -> InputError:
    """The error for sites of a model that a cohort lacks, or has with other alleles, with the cause."""
    absent, other = places.unmatched
    by_position, n = places.match_by == "position", len(sites)
    if by_position:
        by_id = SitePlaces.of(own, sites, "id").n_found
        if by_id > places.n_found:
            return InputError(
                f"{source}: {places.n_found} of the model's {n} sites match by position, {by_id} by ID; "
                "if the build changed use --match-by id"
            )
    if by_position and not set(same_chromosomes(own.chrom, sites.chrom).values()) & set(sites.chrom):
        theirs, ours = sorted(set(own.chrom)), sorted(set(sites.chrom))
        return InputError(
            f"{source}: none of the model's sites are there; its chromosomes are called "
            f"{', '.join(theirs[:3])}, the model's {', '.join(ours[:3])}; "
            "rename them with bcftools annotate --rename-chrs"
        )
    if other:
        k = other[0]
        listed = ", ".join("/".join([r.ref, *r.columns]) for r in places.others[k])
        return InputError(
            f"{source}: {sites.ids[k]} ({sites.chrom[k]}:{sites.pos[k]}) has the alleles "
            f"{sites.ref[k]}/{sites.alt[k]} in the model and {listed} in the file, one of {len(other)} such "
            "sites; correct the alleles or their strand, which is not guessed"
        )
    return InputError(
        f"{source}: {len(absent)} of the model's {n} sites are not there{'' if by_position else ' by ID'} "
        f"({', '.join(sites.ids[absent][:3])}); add them, as missing calls ./. if they were not typed"
    )
