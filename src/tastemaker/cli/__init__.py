"""The command line: a thin door to the same functions."""

import sys

from rich.console import Console
from rich.markup import escape

from tastemaker.cli.app import app
from tastemaker.errors import TastemakerError

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command line; what goes wrong on purpose is one line on standard error and an exit code above 0."""
    try:
        app()
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            Console(stderr=True).print("stopped")
        raise
    except BrokenPipeError:
        sys.exit(141)
    except (TastemakerError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]error:[/] {escape(str(error))}", highlight=False
        )
        sys.exit(1)
