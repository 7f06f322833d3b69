"""Errors a user can act on."""


class InputError(ValueError):
    """A mistake in what the user gave: where it is, what was found, what to do.

    The message is one line and stands alone; the command line prints it and exits with status 2.
    """


class OutputError(OSError):
    """The result could not be written; nothing half-written was left behind."""
