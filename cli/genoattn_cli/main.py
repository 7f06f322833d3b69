"""The genoattn command: parse, one library call, write. Importing it must not import torch."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from typing import Any

import typer

from genoattn.errors import InputError, OutputError
from genoattn.streams import remove_copies
from genoattn_cli import export, fit, info, predict, report, scan, simulate, suggest, variance

# typer brings its own copy of click in some versions: its base class of errors is found by descent.
_CommandLineError: Any = typer.BadParameter.__mro__[2]
_UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="genoattn",
    help="Which alleles act together: fit models of epistasis and export their interaction tables.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("fit")(fit.command)
app.command("scan")(scan.command)
app.command("variance")(variance.command)
app.command("predict")(predict.command)
app.command("report")(report.command)
app.command("suggest")(suggest.command)
app.command("export")(export.command)
app.command("simulate")(simulate.command)
app.command("info")(info.command)


def _version(value: bool) -> None:
    if value:
        from genoattn import __version__

        typer.echo(f"genoattn {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Entry point: exit 0; 2 with one line on stderr for a mistake in the input; 130 if stopped; 1: a bug."""
    for name in ("SIGTERM", "SIGHUP"):  # asked to stop, a command cleans up as for Ctrl-C
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
    status = run(sys.argv[1:])
    with contextlib.suppress(OSError):  # a reader that has closed
        sys.stdout.flush()
        sys.stderr.flush()
    # A normal exit would spend a quarter of a second on unloading compiled code and libraries.
    os._exit(status)


def run(arguments: list[str]) -> int:
    """Run the command line with ``arguments`` and return its exit status."""
    command: Any = typer.main.get_command(app)
    name = next((a for a in arguments if a in command.commands), "")
    prefix = f"genoattn {name}".strip()
    try:
        status = command.main(args=arguments, prog_name="genoattn", standalone_mode=False)
        if status == 130:  # what some versions of typer make of an interruption
            raise KeyboardInterrupt
        if not arguments:  # click before 8.2 shows the help of the bare command without an error
            return 2
        return status if isinstance(status, int) else 0
    except (_CommandLineError, InputError, OutputError) as error:
        if not arguments and isinstance(error, _UsageError):  # the bare command has shown its help
            return 2
        message = error.format_message() if isinstance(error, _CommandLineError) else str(error)
        print(f"{prefix}: error: {' '.join(message.split())}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort) as error:
        reason = str(error) or "nothing was written"
        print(f"{prefix}: interrupted; {reason}", file=sys.stderr)
        return 130
    except SystemExit:  # typer's answer to a closed reader of our stdout, as `| head` does
        return 0
    finally:
        remove_copies()  # main ends without running what is registered for the exit
        logging.shutdown()


if __name__ == "__main__":
    main()
