"""Text files, compressed or not: opened by content, with truncation told in words."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from genoattn.errors import InputError

# The empty block that ends every complete bgzip file (SAM specification, section 4.1.2).
_BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def is_gzip(path: Path) -> bool:
    """Whether the file is compressed by gzip or bgzip, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def is_bgzip(path: Path) -> bool:
    """Whether the file is compressed by bgzip, which an index needs."""
    with path.open("rb") as file:
        head = file.read(18)
    return head[:2] == b"\x1f\x8b" and len(head) == 18 and bool(head[3] & 4) and head[12:14] == b"BC"


def check_bgzip_end(path: Path) -> None:
    """Raise InputError if a bgzip file lacks its end-of-file block. Plain gzip and plain text pass."""
    if not is_bgzip(path):
        return
    with path.open("rb") as file:
        file.seek(-min(len(_BGZF_EOF), path.stat().st_size), 2)
        tail = file.read()
    if tail != _BGZF_EOF:
        raise InputError(
            f"{path}: truncated: the bgzip end-of-file block is missing; copy or download it again"
        )


def check_file(path: Path) -> None:
    """Raise InputError unless the path is a file with something in it."""
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file; give the file inside it")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; write or copy it again")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file without their ends, decompressed as needed."""
    check_file(path)
    check_bgzip_end(path)
    n = 0
    opener = gzip.open if is_gzip(path) else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            for line in file:
                n += 1
                yield line.rstrip("\n")
    except EOFError as error:
        raise InputError(
            f"{path}: truncated: the compressed data end after line {n}; copy or download it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: corrupt: the compressed data break after line {n}; copy or download it again"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8; check that it is the right file") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; check its permissions"
        ) from error
