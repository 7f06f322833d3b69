"""Bytes of a file, decompressed on a thread of its own while those before them are parsed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import BinaryIO, cast

from genoattn.errors import InputError
from genoattn.io.text import check_bgzip_end, check_file, is_gzip
from genoattn.streams import local_copy

_BLOCK_BYTES = 1 << 19


def byte_blocks(path: Path, size: int | None = None) -> Iterator[bytes]:
    """The contents of a file, plain or compressed by gzip or bgzip, in blocks of about ``size`` bytes.

    None is half a megabyte.

    Raises
    ------
    InputError
        Where the file is missing, empty, cut short or corrupt.
    """
    check_file(path)
    check_bgzip_end(path)
    queue: Queue[bytes | BaseException] = Queue(maxsize=2)
    stop = Event()
    thread = Thread(target=_fill, args=(path, size or _BLOCK_BYTES, queue, stop), daemon=True)
    thread.start()
    try:
        while block := queue.get():
            if isinstance(block, BaseException):
                raise _as_input_error(path, block) from block
            yield block
    finally:
        stop.set()
        while thread.is_alive():  # it may wait for room in the queue
            if not queue.empty():
                queue.get()
            thread.join(0.01)


def _fill(path: Path, size: int, queue: Queue[bytes | BaseException], stop: Event) -> None:
    """Put the blocks of a file in the queue, an empty one at its end, or what went wrong."""
    try:
        with ExitStack() as stack:
            file = stack.enter_context(_open(path))
            while not stop.is_set():
                block = file.read(size)
                queue.put(block)
                if not block:
                    return
    except BaseException as error:  # raised again by the thread that reads
        queue.put(error)


def _open(path: Path) -> BinaryIO:
    local = local_copy(path)
    if not is_gzip(path):
        return local.open("rb")
    from isal import igzip

    return cast(BinaryIO, igzip.open(local, "rb"))


def _as_input_error(path: Path, error: BaseException) -> BaseException:
    """The error in words; as it is where the file is not the cause."""
    from isal.isal_zlib import error as inflate_error

    if isinstance(error, EOFError):
        fault = "truncated: the compressed data end early"
    elif isinstance(error, gzip.BadGzipFile | inflate_error):
        fault = "corrupt: the compressed data cannot be read"
    elif isinstance(error, OSError):
        return InputError(f"{path}: cannot be read: {error.strerror or error}; check its permissions")
    else:
        return error
    return InputError(f"{path}: {fault}; copy or download it again")
