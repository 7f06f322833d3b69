"""Text in any usual encoding, from files and pipes; files of other kinds are told by their first bytes."""

from __future__ import annotations

import gzip
import io
import logging
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from read_files import SAMPLES, equal, expect, genotypes, pheno
from vcf_files import record, write_vcf

from genoattn import streams
from genoattn.errors import InputError
from genoattn.io import read
from genoattn.io.tables import read_table
from genoattn.io.text import check_file, is_bgzip, is_gzip, read_lines
from genoattn.provenance import input_records, sha256

CASES = Path(__file__).parent / "cases"
TEXT = "IID\tT\nMüller\t1\nJosé\t2\nŁukasz\t3\n"


def lines(path):
    return list(read_lines(path))


# --- encodings ---


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom", "utf-32"]
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_one_text_in_many_encodings(tmp_path, encoding, compress, end, caplog):
    text = TEXT.replace("\n", end)
    if encoding.endswith("-bom"):
        text, encoding = f"\ufeff{text}", encoding.removesuffix("-bom")
    path = tmp_path / "t.tsv"
    path.write_bytes(compress(text.encode(encoding)))
    assert lines(path) == TEXT.splitlines()
    assert read_table(path).ids == ("Müller", "José", "Łukasz")
    assert not caplog.records


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_bytes_that_are_not_utf8(tmp_path, encoding, caplog):
    path = tmp_path / "t.tsv"
    path.write_bytes("IID\tT\nMüller\t1\nJosé\t2\nÅsa\t4\n".encode(encoding))
    assert read_table(path).ids == ("Müller", "José", "Åsa")
    assert [r.getMessage() for r in caplog.records] == [
        f"{path}, line 2: not UTF-8; read as Windows-1252 (Latin-1)"
    ]


@pytest.mark.parametrize("one", ["latin-1", "utf-8"])
@pytest.mark.parametrize("other", ["latin-1", "utf-16"])
def test_ids_match_across_encodings(tmp_path, one, other):
    path = write_vcf(tmp_path / "g.vcf", ["Jürgen", "Zoë", "Ana"], [record(["0/0", "0/1", "1/1"])])
    path.write_bytes(path.read_text().encode(one))
    table = tmp_path / "p.tsv"
    table.write_bytes("IID\tT\nZoë\t2\nJürgen\t1\nAna\t5\n".encode(other))
    cohort = read(path, table, filters=False)
    assert cohort.samples.tolist() == ["Jürgen", "Zoë", "Ana"]
    assert cohort.phenotype.values.tolist() == [1, 2, 5]


def test_bytes_of_no_encoding_match_themselves(tmp_path):
    ids = b"\x81\xff", b"a\xe9\x80", b"\xc3("
    path = tmp_path / "t.tsv"
    path.write_bytes(b"IID\tT\n" + b"".join(name + b"\t1\n" for name in ids))
    found = read_table(path).ids
    assert found == ("\x81ÿ", "aé€", "Ã(")
    assert "".join(found).encode()
    other = tmp_path / "other.tsv"
    other.write_bytes(b"sample,x\n" + b"".join(name + b",1\n" for name in ids[::-1]))
    assert read_table(other).ids == found[::-1]


def test_a_vcf_with_a_latin1_info(tmp_path):
    folder = CASES / "not-utf8"
    cohort = read(folder / "g.vcf", folder / "y.tsv", filters=False)
    assert (cohort.n_samples, cohort.phenotype.values[0]) == (200, 0.6533)
    for name in ("g.bcf", "bcf_named.vcf.gz"):
        assert equal(read(folder / name, folder / "y.tsv", filters=False), cohort)
    expect(r"g.bcf: not a text file: a BCF; name it .bcf", folder / "g.vcf", folder / "g.bcf")


def test_damaged_utf16(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes(TEXT.encode("utf-16")[:-1])
    with pytest.raises(
        InputError, match=r"t.tsv: damaged utf-16.* text after line \d; write it again as UTF-8"
    ):
        lines(path)


# --- NUL ---


def test_a_nul_in_a_covariate():
    with pytest.raises(InputError, match=r"cov.tsv, line \d+: a NUL byte, which no text has; write the file"):
        read_table(CASES / "covar-nul" / "cov.tsv")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"IID\tT\na\0\t1\n", 2),
        (b"IID\tT\0\na\t1\n", 1),
        (b"IID\tT\na\t1\nb\t\0\n", 3),
        (b"IID\tT\na\t1\n" + bytes(512), 3),
        ("IID\tT\na\t1\n".encode("utf-16-le"), 1),
        (gzip.compress(b"IID\tT\r\na\t1\r\nb\t\0\r\n", mtime=0), 3),
    ],
)
def test_nul_bytes_are_refused(tmp_path, content, line):
    path = tmp_path / "t.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"t.tsv, line {line}: a NUL byte") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["parquet", "frame"])
def test_nul_in_other_tables(tmp_path, suffix):
    frame = pd.DataFrame({"IID": ["a", "b"], "x": ["u\0", "u"]})
    if suffix == "parquet":
        frame.to_parquet(tmp_path / "t.parquet")
    source = tmp_path / "t.parquet" if suffix == "parquet" else frame
    with pytest.raises(InputError, match=r"a NUL character in column 'x', which no text has; remove it"):
        read_table(source)


# --- other kinds of files ---


def workbook() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(zipfile.ZipInfo("xl/workbook.xml"), "<workbook/>")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (workbook(), r"a zip file, as Excel's .xlsx is; save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(20), r"an Excel file \(.xls\); save the sheet as CSV"),
        (b"%PDF-1.7\n%\xe2\xe3", r"a PDF; save the table"),
        (b"{\\rtf1\\ansi", r"a word processor's file \(RTF\); save it as plain text"),
        (b"BZh91AY&SY", r"compressed by bzip2; decompress it with bunzip2"),
        (b"\xfd7zXZ\x00\x00", r"compressed by xz; decompress it with unxz"),
        (b"\x28\xb5\x2f\xfd\x00", r"compressed by zstd; decompress it"),
        (b"\x6c\x1b\x01\xff", r"a PLINK .bed; give the table that belongs to it"),
        (
            gzip.compress(gzip.compress(b"IID\tT\n", mtime=0), mtime=0),
            r"compressed twice; decompress it once",
        ),
        (gzip.compress(b"BCF\x02\x02", mtime=0), r"a BCF; name it .bcf"),
    ],
)
def test_files_that_are_no_text(tmp_path, content, what):
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    expect(rf"p.csv: not a text file: {what}", genotypes(tmp_path), path)
    with pytest.raises(InputError, match="not a text file"):
        lines(path)


@pytest.mark.parametrize("head", ["<!DOCTYPE html>", "<html><body>", "\n  <!doctype HTML lang=en>"])
def test_web_pages(tmp_path, head):
    path = tmp_path / "p.csv"
    path.write_text(f"{head}\nSign in\n")
    expect(r"p.csv: a web page \(HTML\), perhaps of a login or an error; download", genotypes(tmp_path), path)


@pytest.mark.parametrize("name", ["absent.tsv", "n" * 300, "a\0b", "dangling"])
def test_names_of_nothing(tmp_path, name):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    expect(r": no such file; check the path", genotypes(tmp_path), tmp_path / name)


# --- pipes ---


def fifo(path: Path, content: bytes) -> Path:
    """A named pipe into which a thread writes once."""
    if not path.exists():
        os.mkfifo(path)

    def feed():
        with path.open("wb") as file:
            file.write(content)

    threading.Thread(target=feed, daemon=True).start()
    return path


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_pipe_is_read_like_a_file(tmp_path, compress):
    path = fifo(tmp_path / "t.tsv", compress(TEXT.encode()))
    check_file(path)
    assert is_gzip(path) == (compress is gzip.compress)
    assert not is_bgzip(path)
    assert lines(path) == TEXT.splitlines()
    assert lines(path) == TEXT.splitlines()
    assert read_table(path).ids == ("Müller", "José", "Łukasz")


def test_a_pipe_with_nothing_in_it(tmp_path):
    path = fifo(tmp_path / "t.tsv", b"")
    expect(r"t.tsv: the file is empty; write or copy it again", genotypes(tmp_path), path)


def test_every_table_may_be_a_pipe(tmp_path):
    vcf = genotypes(tmp_path)
    table = pheno(tmp_path).read_bytes()
    covar = "".join(f"{s},{i * i}\n" for i, s in enumerate(SAMPLES))
    features = b"site\tgene\n1:1\tg1\n"
    parquet = io.BytesIO()
    pd.DataFrame({"IID": SAMPLES, "T": range(6)}).to_parquet(parquet)
    expected = read(vcf, pheno(tmp_path))
    cohort = read(
        fifo(tmp_path / "pipe.vcf", vcf.read_bytes()),
        fifo(tmp_path / "p", table),
        covar=fifo(tmp_path / "c", f"IID,age\n{covar}".encode()),
        features=fifo(tmp_path / "f", features),
    )
    assert cohort.samples.tolist() == expected.samples.tolist()
    assert cohort.phenotype.values.tolist() == expected.phenotype.values.tolist()
    assert cohort.sites.features["gene"].tolist()[0] == "g1"
    assert cohort.source["phenotypes"] == str(tmp_path / "p")
    assert input_records(cohort.source)["phenotypes"] == {"file": "p", "sha256": sha256(pheno(tmp_path))}
    assert read(vcf, fifo(tmp_path / "q", parquet.getvalue())).n_samples == 6


FASTA = b">a\nMKV\n>b\nMAV\n>c\nCAV\n"


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        (FASTA, (3, 3)),
        (gzip.compress(FASTA, mtime=0), (3, 3)),
        (b"# STOCKHOLM 1.0\na MKV\nb MAV\n//\n", (2, 3)),
        ((CASES / "pipes" / "g.vcf").read_bytes(), (200, 24)),
        (gzip.compress((CASES / "pipes" / "g.vcf").read_bytes(), mtime=0), (200, 24)),
        ((CASES / "not-utf8" / "g.bcf").read_bytes(), (200, 24)),
    ],
)
def test_genotypes_from_a_pipe_without_a_suffix(tmp_path, content, shape):
    cohort = read(fifo(tmp_path / "pipe", content), filters=False)
    assert (cohort.n_samples, cohort.n_sites) == shape


def test_a_pipe_of_something_else(tmp_path):
    expect(r"pipe: neither VCF nor BCF, by its first bytes", fifo(tmp_path / "pipe", b"hello\n"))


def test_a_pipe_is_read_anew_by_each_read(tmp_path):
    vcf, path = genotypes(tmp_path), tmp_path / "p"
    for shift in (0, 5):
        text = "IID\tT\n" + "".join(f"{s}\t{i + shift}.5\n" for i, s in enumerate(SAMPLES))
        assert read(vcf, fifo(path, text.encode())).phenotype.values[0] == shift + 0.5


def test_copies_are_removed(tmp_path):
    path = fifo(tmp_path / "p", b"x\n")
    copy = streams.local_copy(path)
    assert copy.read_bytes() == b"x\n"
    assert streams.local_copy(path) == copy
    streams.forget_copies(path, tmp_path / "absent", tmp_path)
    assert not copy.exists()
    with pytest.raises(InputError, match=r"t.tsv: cannot be read"):
        streams.local_copy(_unreadable(tmp_path / "t.tsv"))


class _Unreadable(type(Path())):
    def open(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")


def _unreadable(path: Path) -> Path:
    os.mkfifo(path)
    return _Unreadable(path)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd")
def test_process_substitution_and_stdin(tmp_path):
    """The command of the case, with what was piped gone from the disk when it ends."""
    folder = CASES / "pipes"
    command = f"{sys.executable} -m genoattn_cli.main scan --threshold 0.5 --quiet"
    script = (
        f"{command} {folder}/g.vcf --pheno <(cut -f1,2 {folder}/y.tsv) -o {tmp_path}/a && "
        f"cat {folder}/g.vcf | {command} /dev/stdin --pheno {folder}/y.tsv -o {tmp_path}/b && "
        f"{command} {folder}/g.vcf --pheno {folder}/y.tsv -o {tmp_path}/c"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    tables = [(tmp_path / name / "interactions.tsv").read_bytes() for name in "abc"]
    assert tables[0] == tables[1] == tables[2]
    assert not list(temporary.glob("genoattn-*"))


def test_no_warning_for_utf8(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    read(genotypes(tmp_path), pheno(tmp_path))
    assert not caplog.records
