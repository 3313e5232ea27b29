"""``tastemaker train``: new models from the events in the store, in service if they are not worse."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tastemaker import progress
from tastemaker.cli import options as opt
from tastemaker.cli.progress import TerminalProgress
from tastemaker.cli.store import DEFAULT, open_store
from tastemaker.errors import TastemakerError
from tastemaker.models.bundle import check_folder

__all__ = ["EXAMPLE", "NOT_PROMOTED", "train"]

EXAMPLE = (
    "Examples: `tastemaker train --from sqlite:///shop.db --models shop-models` · "
    "`tastemaker train --from sqlite:///shop.db --models shop-models --model als --set factors=128 --dry-run`. "
    "Exit code 0: promoted (or would be), 1: an error, 3: worse than what serves, and left alone."
)
NOT_PROMOTED = 3
_out = Console(highlight=False, soft_wrap=True)


def train(
    models: Annotated[Path, typer.Option("--models", metavar="DIR", help="The folder of saved models.")],
    url: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="URL",
            envvar="TASTEMAKER_DB",
            help="The store: sqlite:///FILE or postgresql://USER@HOST/NAME.",
        ),
    ] = DEFAULT,
    model: Annotated[
        str | None,
        typer.Option(help="Another model to find candidates by; without it, the settings in service."),
    ] = None,
    settings: opt.Settings = None,
    hold_out: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="The share of the newest interactions to judge by.")
    ] = 0.1,
    metric: Annotated[str, typer.Option(help="What to judge by.")] = "ndcg@10",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge only; save nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Promote even what is worse.")] = False,
) -> None:
    """Fit models on all events, judge them on the newest, and put them into service unless they are worse beyond the noise.

    A service that runs on the same folder takes the new version up within a second or two.
    """
    check_folder(models)
    if settings and model is None:
        raise TastemakerError("--set needs --model: say which model the settings are of")
    other = None if model is None else opt.build_model(model, settings)
    with open_store(url) as store, TerminalProgress() as bars, progress.use(bars):
        from tastemaker.service.retraining import Retraining

        work = Retraining.of(store, models, other)
        _out.print(escape(repr(work.data)))
        verdict = work.judge(hold_out, metric)
        if verdict.comparison is not None:
            _out.print(escape(str(verdict.comparison)))
        _out.print(
            f"{'not worse' if verdict.promote else 'worse, or not to be judged'}: {escape(verdict.why)}"
        )
        if dry_run:
            raise typer.Exit(0 if verdict.promote else NOT_PROMOTED)
        if not verdict.promote and not force:
            _out.print("what serves stays; [bold]--force[/] promotes all the same")
            raise typer.Exit(NOT_PROMOTED)
        version = work.promote(models)
    _out.print(f"promoted {version} in {escape(str(models))}")
