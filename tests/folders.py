"""What is in a folder, and a disk without space, for tests of what is written."""

import errno


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def full_disk(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")
