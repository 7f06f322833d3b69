"""New aligned sequences laid out as a model expects: its columns, and its states by their letters."""

import logging

import numpy as np

from genoattn.cohort import MISSING, AlignmentFrame, Cohort, Sites
from genoattn.errors import InputError
from genoattn.io.alphabets import unknown_letter

_log = logging.getLogger(__name__)
_UNSEEN = -2
_ENOUGH = 10  # columns to tell another numbering by


def align_sequences(cohort: Cohort, sites: Sites, source: str) -> np.ndarray:
    """Calls of an alignment at the columns of a model, (n_samples, n_model_sites), int8; -1 where missing."""
    if cohort.sites.frame is not None and sites.frame is not None:
        _check_frame(cohort, cohort.sites.frame, sites.frame, source)
        _compare_other_columns(cohort, sites, sites.frame, source)
    column = {int(p): k for k, p in enumerate(cohort.sites.pos)}
    out = np.empty((cohort.n_samples, len(sites)), dtype=np.int8)
    for k in range(len(sites)):
        own = column.get(int(sites.pos[k]))
        if own is None:
            raise InputError(
                f"{source}: no column {sites.pos[k]}, which the model uses ({sites.ids[k]}); "
                "align to the same length, and read with filters off"
            )
        known = {state: i for i, state in enumerate(sites.states[k])}
        states = cohort.sites.states[own]
        lookup = np.array([known.get(s, _UNSEEN) for s in states] + [MISSING], dtype=np.int8)
        out[:, k] = lookup[cohort.calls[:, own]]
    if (out == _UNSEEN).any():
        raise _unseen(cohort, sites, out == _UNSEEN, source)
    return out


def _check_frame(cohort: Cohort, own: AlignmentFrame, model: AlignmentFrame, source: str) -> None:
    """Raise InputError where the columns are not the model's, or their letters mean something else."""
    if own.n_columns != model.n_columns:
        raise InputError(
            f"{source}: {own.n_columns} columns, but the model was fitted to an alignment of "
            f"{model.n_columns}; align to the same columns"
        )
    # Sequences of A, C, G and T alone are the same as DNA and as proteins.
    plain = (own.alphabet, model.alphabet) == ("dna", "protein") and (cohort.calls != MISSING).all()
    if own.alphabet != model.alphabet and not plain:
        raise InputError(
            f"{source}: sequences read as {own.alphabet}, but those of the model as {model.alphabet}; "
            f"give alphabet {model.alphabet}"
        )


def _unseen(cohort: Cohort, sites: Sites, unseen: np.ndarray, source: str) -> InputError:
    """The error for states ``unseen`` (n_samples, n_model_sites) in training."""
    k, row = np.argwhere(unseen.T)[0]
    own = cohort.sites.pos.tolist().index(sites.pos[k])
    found = cohort.sites.states[own][cohort.calls[row, own]]
    n_columns = int(unseen.any(axis=0).sum())
    where = (
        f"{source}: {cohort.samples[row]} has {found} at column {sites.pos[k]}, which no training sample had"
    )
    if n_columns > 1 and n_columns > len(sites) / 2:
        return InputError(
            f"{where}, and so at {n_columns} of the model's {len(sites)} columns; "
            "check that the sequences are aligned and numbered as in training"
        )
    unknown = "X" if cohort.sites.frame is None else unknown_letter(cohort.sites.frame.alphabet)
    return InputError(
        f"{where} ({', '.join(sites.states[k])}); write {unknown} where it should count as missing"
    )


def _compare_other_columns(cohort: Cohort, sites: Sites, frame: AlignmentFrame, source: str) -> None:
    """Compare samples with the consensus of the training at columns that the model does not use.

    Few differences are a warning, since the model ignores them; a sample that differs at most of these
    columns is numbered in another way.
    """
    # Columns of the model, and those where nothing is known of the training.
    left_out = set(sites.pos.tolist())
    left_out |= {i for i, state in enumerate(frame.consensus, 1) if state == unknown_letter(frame.alphabet)}
    other = [k for k, pos in enumerate(cohort.sites.pos.tolist()) if pos not in left_out]
    differs = np.zeros((cohort.n_samples, len(other)), dtype=bool)
    for j, k in enumerate(other):
        expected = frame.consensus[cohort.sites.pos[k] - 1]
        states = cohort.sites.states[k]
        # The last entry is that of a missing call, whose index is -1.
        unlike = np.array([state != expected for state in states] + [False])
        differs[:, j] = unlike[cohort.calls[:, k]]
    if not differs.any():
        return
    n_differ, most = differs.sum(axis=1), int(differs.sum(axis=1).argmax())
    if len(other) >= _ENOUGH and n_differ[most] > len(other) / 2:
        raise InputError(
            f"{source}: {cohort.samples[most]} differs from the consensus of the training at "
            f"{n_differ[most]} of {len(other)} columns that hardly varied there; "
            "check that the sequences are aligned and numbered as in training"
        )
    _log.warning(
        "%s: %d samples differ from the consensus of the training at %d columns that the model does not use "
        "(%s); it ignores them",
        source,
        int(n_differ.astype(bool).sum()),
        int(differs.any(axis=0).sum()),
        ", ".join(str(cohort.sites.ids[other[j]]) for j in np.flatnonzero(differs.any(axis=0))[:3]),
    )
