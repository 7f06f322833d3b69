"""A random cohort written in every format that can hold it is read back as it was."""

from __future__ import annotations

import numpy as np
import pytest
from genotype_files import CONTIGS, described, vcf_of, write_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles_genotypes import Row, alleles_of, expected, sites_of
from vcf_files import read_genotypes

from genoattn.errors import InputError
from genoattn.io import byte_blocks, read

quick = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = ("x.vcf", "x.plain.vcf.gz", "x.vcf.gz", "x.bcf")
KEYS = [("GT",), ("GT", "DP", "AD"), ("DP", "GT", "FT"), ("AD", "DP", "GT")]
PLOIDIES = {"haploid": (1, 1), "diploid": (2, 2), "mixed": (1, 2), "triploid": (3, 3), "tetraploid": (4, 4)}
PLOIDIES["three or fewer"] = (1, 3)


@st.composite
def genotype(draw, ploidy, n_alleles, half=True):
    """A genotype of ``ploidy`` alleles, phased or not, missing, or with ``half`` in part missing."""
    index = st.integers(0, n_alleles - 1).map(str)
    missing = draw(st.integers(0, 7)) == 0
    alleles = [
        "." if missing else draw(st.sampled_from(".") if half and draw(st.integers(0, 9)) == 0 else index)
        for _ in range(ploidy)
    ]
    return draw(st.sampled_from("/|")).join(alleles)


@st.composite
def row(draw, n_samples, kinds, most_alts, half=True):
    low, high = PLOIDIES[draw(st.sampled_from(kinds))]
    n_alts = draw(st.sampled_from([k for k in (0, 1, 1, 1, 2, 3, 11) if k <= most_alts]))
    letters = st.text("ACGT", min_size=1, max_size=3)
    ref, *alts = draw(st.lists(letters, min_size=1 + n_alts, max_size=1 + n_alts, unique=True))
    calls = [draw(genotype(draw(st.integers(low, high)), 1 + n_alts, half)) for _ in range(n_samples)]
    chrom = draw(st.sampled_from(CONTIGS))
    pos = 0 if chrom == "0" else draw(st.integers(1, 9))
    name = draw(st.sampled_from([".", "rs1", "rs2", "UNC7-1", "JAX_8"]))
    return Row(chrom, pos, name, ref, tuple(alts), tuple(calls))


@st.composite
def cohorts(draw, kinds=tuple(PLOIDIES), most_alts=11, half=True, n_most=7):
    """Names of samples, and records, some of them again with the same or other calls."""
    n = draw(st.integers(1, n_most))
    rows = draw(st.lists(row(n, kinds, most_alts, half), min_size=1, max_size=8))
    for again in draw(st.lists(st.integers(0, len(rows) - 1), max_size=2)):
        one = rows[again]
        calls = draw(st.permutations(one.genotypes)) if draw(st.booleans()) else one.genotypes
        rows.append(one._replace(genotypes=tuple(calls), name=draw(st.sampled_from([one.name, "rs9"]))))
    return [f"s{i}" for i in range(n)], rows


def assert_reads(path, samples, rows):
    """The cohort of the file is that of the records; a file without any usable record is refused."""
    if not sites_of(rows):
        with pytest.raises(InputError, match="correct the genotype or set it to missing"):
            read_genotypes(path)
        return
    cohort, _ = read_genotypes(path)
    assert cohort.samples.tolist() == samples
    assert described(cohort) == expected(rows)


@pytest.fixture(params=[None, 64, 131, 300])
def block_bytes(request, monkeypatch):
    """Blocks of the usual size, or so small that records straddle them."""
    if request.param is not None:
        monkeypatch.setattr(byte_blocks, "_BLOCK_BYTES", request.param)


@pytest.mark.parametrize("name", [*TEXT, "x.vcz"])
@quick
@given(cohort=cohorts(), keys=st.sampled_from(KEYS))
def test_vcf_and_its_kin(tmp_path, name, cohort, keys):
    samples, rows = cohort
    assert_reads(write_rows(tmp_path / name, samples, rows, keys), samples, rows)


@pytest.mark.parametrize("name", ["x.vcf", "x.vcf.gz", "x.bcf"])
@settings(quick, max_examples=10)
@given(cohort=cohorts(n_most=30), keys=st.sampled_from(KEYS))
def test_records_that_straddle_blocks(tmp_path, block_bytes, name, cohort, keys):
    samples, rows = cohort
    assert_reads(write_rows(tmp_path / name, samples, rows, keys), samples, rows)


@pytest.mark.parametrize(("name", "most_alts"), [("x.bed", 1), ("x.pgen", 3)])
@quick
@given(data=st.data())
def test_plink(tmp_path, name, most_alts, data):
    samples, rows = data.draw(cohorts(("diploid",), most_alts, half=False))
    rows = [one for one in rows if one.alts and one.chrom != "X"]
    if rows:
        assert_reads(write_rows(tmp_path / name, samples, rows), samples, rows)


@pytest.mark.parametrize("name", [*TEXT, "x.vcz", "x.bed", "x.pgen"])
@quick
@given(data=st.data())
def test_selection_and_filters_while_reading(tmp_path, name, data):
    """Against the records of the chosen samples alone, and against reading everything and selecting."""
    plink = name in ("x.bed", "x.pgen")
    kinds = ("diploid",) if plink else tuple(PLOIDIES)
    samples, rows = data.draw(cohorts(kinds, 1 if plink else 3, half=not plink))
    rows = [one for one in rows if one.chrom != "X" and (one.alts or not plink)]
    kept = sorted(data.draw(st.sets(st.integers(0, len(samples) - 1), min_size=1)))
    limits = data.draw(st.sampled_from([(0.0, 1.0), (0.2, 0.3), (0.01, 0.1)]))
    what = expected(rows, kept, limits) if rows else []
    if not what:
        return
    path = write_rows(tmp_path / name, samples, rows)
    table = tmp_path / "p.tsv"
    table.write_text("IID\ty\n" + "".join(f"s{i}\t{i * i}.5\n" for i in reversed(kept)))
    if len(kept) < 2:
        return
    cohort = read(path, table, maf=limits[0], max_missing=limits[1])
    assert cohort.samples.tolist() == [samples[i] for i in kept]
    assert described(cohort) == what


# --- order ---


def by_key(cohort):
    """Calls and states by name of the site, then by name of the sample."""
    columns = zip(cohort.sites.ids, cohort.sites.states, cohort.calls.T.tolist(), strict=True)
    return {name: (states, dict(zip(cohort.samples, calls, strict=True))) for name, states, calls in columns}


@st.composite
def unrepeated(draw):
    """Records each at a position of its own, with an ID of its own or none."""
    samples, rows = draw(cohorts(("haploid", "diploid", "mixed", "triploid"), 3))
    own = [f"rs{k}" if k % 2 else "." for k in range(len(rows))]
    return samples, [r._replace(chrom="1", pos=k + 1, name=own[k]) for k, r in enumerate(rows)]


@pytest.mark.parametrize("name", ["x.vcf", "x.bcf", "x.vcz"])
@quick
@given(data=st.data())
def test_order_of_samples_records_and_fields(tmp_path, name, data):
    samples, rows = data.draw(unrepeated())
    before, _ = read_genotypes(write_rows(tmp_path / name, samples, rows))
    people = data.draw(st.permutations(range(len(samples))))
    moved = [
        r._replace(genotypes=tuple(r.genotypes[i] for i in people)) for r in data.draw(st.permutations(rows))
    ]
    path = write_rows(tmp_path / name, [samples[i] for i in people], moved, data.draw(st.sampled_from(KEYS)))
    after, _ = read_genotypes(path)
    assert after.samples.tolist() == [samples[i] for i in people]
    # Where nothing is called the ploidy is that of the others, whatever their order.
    assert by_key(after) == by_key(before)
    assert sorted(after.log) == sorted(before.log)


@pytest.mark.parametrize("name", ["x.vcf", "x.bcf", "x.vcz"])
@quick
@given(data=st.data())
def test_order_of_alternate_alleles(tmp_path, name, data):
    samples, rows = data.draw(unrepeated())
    before, _ = read_genotypes(write_rows(tmp_path / name, samples, rows))
    renamed = []
    for one in rows:
        order = data.draw(st.permutations(range(len(one.alts))))
        number = {"0": "0", ".": ".", **{str(1 + old): str(1 + new) for new, old in enumerate(order)}}
        calls = ("".join(number.get(letter, letter) for letter in call) for call in one.genotypes)
        renamed.append(one._replace(alts=tuple(one.alts[i] for i in order), genotypes=tuple(calls)))
    after, _ = read_genotypes(write_rows(tmp_path / name, samples, renamed))
    assert by_key(after) == by_key(before)


@pytest.mark.parametrize("name", ["x.vcf", "x.bcf", "x.vcz", "x.bed", "x.pgen"])
@quick
@given(data=st.data())
def test_reference_and_alternate_exchanged(tmp_path, name, data):
    """Copies of the other allele are the ploidy less those of the first."""
    samples, rows = data.draw(cohorts(("diploid",), 1, half=False))
    rows = [r._replace(chrom="1", pos=k + 1, name=f"rs{k}") for k, r in enumerate(rows) if r.alts]
    if not rows:
        return
    swap = str.maketrans("01", "10")
    turned = [
        r._replace(ref=r.alts[0], alts=(r.ref,), genotypes=tuple(g.translate(swap) for g in r.genotypes))
        for r in rows
    ]
    before, _ = read_genotypes(write_rows(tmp_path / name, samples, rows))
    after, _ = read_genotypes(write_rows(tmp_path / name, samples, turned))
    np.testing.assert_array_equal(after.calls, np.where(before.calls < 0, -1, 2 - before.calls))
    assert after.sites.alt.tolist() == before.sites.ref.tolist()


@quick
@given(data=st.data())
def test_phase_is_not_used(tmp_path, data):
    samples, rows = data.draw(cohorts())
    other = {"/": "|", "|": "/"}
    phased = [
        r._replace(genotypes=tuple("".join(other.get(c, c) for c in g) for g in r.genotypes)) for r in rows
    ]
    assert_reads(write_rows(tmp_path / "x.vcf", samples, phased), samples, rows)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@quick
@given(cohort=cohorts(), keys=st.sampled_from(KEYS), last=st.booleans())
def test_line_ends(tmp_path, end, cohort, keys, last):
    samples, rows = cohort
    text = vcf_of(samples, rows, keys, end)
    (tmp_path / "x.vcf").write_bytes((text if last else text.rstrip("\r\n")).encode())
    assert_reads(tmp_path / "x.vcf", samples, rows)


@quick
@given(cohort=cohorts(("haploid", "diploid", "mixed")))
def test_haploid_as_is(tmp_path, cohort):
    samples, rows = cohort
    rows = [one._replace(chrom="1", pos=k + 1) for k, one in enumerate(rows)]
    found, _ = read_genotypes(write_rows(tmp_path / "x.vcf", samples, rows), haploid="as-is")
    assert described(found) == expected(rows, double=False)
    single = np.zeros(found.calls.shape, dtype=bool) if found.is_haploid is None else found.is_haploid
    for k, (pos, states) in enumerate(zip(found.sites.pos, found.sites.states, strict=True)):
        calls = rows[pos - 1].genotypes
        mixed = any(g.count(".") == 0 and len(g) > 2 for g in calls)
        assert single[:, k].tolist() == [mixed and g != "." and len(alleles_of(g)) == 1 for g in calls]
        assert len(states) == 3 or not single[:, k].any()
