"""Errors a user can act on."""


class InputError(ValueError):
    """A mistake in what the user gave: where it is, what was found, what to do.

    The message is one line and stands alone; the command line prints it and exits with status 2.

    Examples
    --------
    >>> import genoattn
    >>> genoattn.read("absent.vcf")
    Traceback (most recent call last):
    genoattn.errors.InputError: absent.vcf: no such file; check the path
    """


class OutputError(OSError):
    """The result could not be written; no incomplete file or folder remains.

    Examples
    --------
    >>> import genoattn
    >>> issubclass(genoattn.OutputError, OSError)
    True
    """
