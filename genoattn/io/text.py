"""Text files, compressed or not, in any usual encoding, with what is wrong in them told in words."""

import gzip
import io
import logging
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from genoattn.errors import InputError
from genoattn.streams import local_copy

_log = logging.getLogger(__name__)

# The empty block that ends every complete bgzip file (SAM specification, section 4.1.2).
_BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
# First bytes of files that are no text, what they are, and the cure.
_NO_TEXT = (
    (b"BCF\x02", "a BCF", "name it .bcf, or convert it with: bcftools view"),
    (b"PK\x03\x04", "a zip file, as Excel's .xlsx is", "save the sheet as CSV, or unzip it"),
    (b"\xd0\xcf\x11\xe0", "an Excel file (.xls)", "save the sheet as CSV"),
    (b"PAR1\x15", "a Parquet file", "give it where a table is read, or convert it to CSV"),
    (b"%PDF", "a PDF", "save the table in it as CSV"),
    (b"{\\rtf", "a word processor's file (RTF)", "save it as plain text"),
    (b"BZh91AY", "compressed by bzip2", "decompress it with bunzip2"),
    (b"\xfd7zXZ", "compressed by xz", "decompress it with unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "decompress it with unzstd"),
    (b"\x6c\x1b\x01", "a PLINK .bed", "give the table that belongs to it"),
    (b"\x1f\x8b", "compressed twice", "decompress it once with gunzip"),
)
_HTML = (b"<!doctype html", b"<html")
_BYTE_ORDER = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# How ``surrogateescape`` stands for the byte b that is not UTF-8, 0xDC00 + b, as the letter of Windows-1252
# (a superset of printable Latin-1). The same bytes are the same letters in every file.
_UNDECODABLE = re.compile("[\udc80-\udcff]")
_WINDOWS_1252 = {0xDC00 + b: bytes([b]).decode("cp1252", "ignore") or chr(b) for b in range(0x80, 0x100)}


def is_gzip(path: Path) -> bool:
    """Whether the file is compressed by gzip or bgzip, whatever its name."""
    return first_bytes(path, 2) == b"\x1f\x8b"


def is_bgzip(path: Path) -> bool:
    """Whether the file is compressed by bgzip, which an index needs."""
    head = first_bytes(path, 18)
    return head[:2] == b"\x1f\x8b" and len(head) == 18 and bool(head[3] & 4) and head[12:14] == b"BC"


def first_bytes(path: Path, n: int) -> bytes:
    """The first bytes of a file or pipe, which is as it was afterwards."""
    with local_copy(path).open("rb") as file:
        return file.read(n)


def check_bgzip_end(path: Path) -> None:
    """Raise InputError if a bgzip file lacks its end-of-file block. Plain gzip and plain text pass."""
    if not is_bgzip(path):
        return
    with local_copy(path).open("rb") as file:
        file.seek(0, 2)
        file.seek(-min(len(_BGZF_EOF), file.tell()), 2)
        tail = file.read()
    if tail != _BGZF_EOF:
        raise InputError(
            f"{path}: truncated: the bgzip end-of-file block is missing; copy or download it again"
        )


def check_file(path: Path) -> None:
    """Raise InputError unless the path is a file, or a pipe, with something in it."""
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file; give the file inside it")
    if local_copy(path).stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; write or copy it again")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file without their ends, decompressed as needed.

    UTF-8, or UTF-16 with its byte order mark. Bytes that are not UTF-8 are read as Windows-1252, with a
    warning. Lines end with ``\\n``, ``\\r\\n`` or ``\\r``; a NUL is refused.
    """
    check_file(path)
    n = 0
    told = False
    try:
        check_bgzip_end(path)
        with _open(path) as file:
            head = cast(io.BufferedReader, file).peek(64)
            check_text(path, head)
            text = io.TextIOWrapper(file, encoding=encoding_of(head), errors="surrogateescape")
            for line in text:
                n += 1
                line = line.rstrip("\n")
                if not line.isascii() and _UNDECODABLE.search(line):
                    line = line.translate(_WINDOWS_1252)
                    if not told:
                        _log.warning("%s, line %d: not UTF-8; read as Windows-1252 (Latin-1)", path, n)
                    told = True
                if "\0" in line:
                    raise InputError(
                        f"{path}, line {n}: a NUL byte, which no text has; write the file again as UTF-8 text"
                    )
                yield line
    except EOFError as error:
        raise InputError(
            f"{path}: truncated: the compressed data end after line {n}; copy or download it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: corrupt: the compressed data break after line {n}; copy or download it again"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: damaged {error.encoding} text after line {n}; write it again as UTF-8"
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; check its permissions"
        ) from error


def decode_bytes(content: bytes) -> str:
    """Text in UTF-8, bytes that are not as Windows-1252: what :func:`read_lines` makes of it."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(errors="surrogateescape").translate(_WINDOWS_1252)


def _open(path: Path) -> BinaryIO:
    local = local_copy(path)
    return cast(BinaryIO, gzip.open(local, "rb")) if is_gzip(path) else local.open("rb")


def check_text(path: Path, head: bytes) -> None:
    """Raise InputError for files of other kinds, by their first bytes."""
    for magic, what, cure in _NO_TEXT:
        if head.startswith(magic):
            raise InputError(f"{path}: not a text file: {what}; {cure}")
    if head.lstrip().lower().startswith(_HTML):
        raise InputError(
            f"{path}: a web page (HTML), perhaps of a login or an error; download the file itself"
        )


def encoding_of(head: bytes) -> str:
    """The encoding of a text by its first bytes."""
    return next((name for mark, name in _BYTE_ORDER if head.startswith(mark)), "utf-8-sig")
