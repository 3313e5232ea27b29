"""The command that searches for good hyper-parameters."""

import json
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tastemaker import progress
from tastemaker.cli import options as opt
from tastemaker.cli.progress import TerminalProgress
from tastemaker.errors import TastemakerError
from tastemaker.evaluation.search_spaces import space_of
from tastemaker.evaluation.tune import Tuned, Validation
from tastemaker.evaluation.tune import tune as search

__all__ = ["EXAMPLE", "tune"]

EXAMPLE = "Example: `tastemaker tune ml-100k --model mf --metric rmse --minutes 10 --out films`"
_SHOWN = 5  # of the best trials


def tune(
    data: opt.Data,
    model: Annotated[str, typer.Option(help="Which model: see `tastemaker models`.")] = "item_knn",
    metric: Annotated[str, typer.Option(help="What to be good at, e.g. rmse or recall@20.")] = "ndcg@10",
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop after so long.")] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many; 20 if no time is given either.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to save the best model.")
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Remember the trials here; an existing file is resumed."),
    ] = None,
    validation: Annotated[Validation, typer.Option(help="How to cut the validation part.")] = "holdout",
    gap: opt.Gap = None,
    seed: Annotated[int, typer.Option(help="Same seed, same trials.")] = 0,
    settings: opt.Settings = None,
    user: opt.UserColumn = "user",
    item: opt.ItemColumn = "item",
    rating: opt.RatingColumn = None,
    label: opt.LabelColumn = None,
    weight: opt.WeightColumn = None,
    timestamp: opt.TimeColumn = None,
    context: opt.ContextColumns = None,
    separator: opt.Separator = None,
    columns: opt.Columns = None,
    scale: opt.Scale = None,
    duplicates: opt.Duplicates = "auto",
    user_features: opt.UserFeatures = None,
    item_features: opt.ItemFeatures = None,
) -> None:
    """Find good hyper-parameters on a validation part of the data; what --set gives is kept."""
    chosen = opt.build_model(model, settings)
    kept = {setting.partition("=")[0].rpartition(".")[2] for setting in settings or ()}
    space = space_of(chosen, kept)
    reading: dict[str, Any] = {
        "user": user,
        "item": item,
        "rating": rating,
        "label": label,
        "weight": weight,
        "timestamp": timestamp,
        "context": context,
        "separator": separator,
        "columns": columns,
        "scale": scale,
        "duplicates": duplicates,
        "user_features": user_features,
        "item_features": item_features,
    }
    with TerminalProgress() as bars, progress.use(bars):
        pause = opt.pause(gap) if validation == "session" else None
        interactions = opt.open_data(data, **reading, session_gap=pause)
        try:
            found = search(
                chosen,
                interactions,
                metric=metric,
                budget_seconds=None if minutes is None else 60 * minutes,
                trials=trials,
                seed=seed,
                storage=storage,
                validation=validation,
                gap=None if gap is None else pause,
                space=space,
                refit=out_dir is not None,
            )
        except ValueError as error:
            raise TastemakerError(str(error)) from error
    _print(found)
    if out_dir is not None:
        typer.echo(f"saved in {found.model.save(out_dir)}")
    if pause is not None:
        cut = interactions.schema.session_gap
        reading["gap"] = (pause if cut is None else timedelta(microseconds=cut)) / timedelta(minutes=1)
    typer.echo(f"to use them: {_command(data, found, reading, out_dir)}")


def _print(found: Tuned) -> None:
    trials = found.trials.drop(["share", "error", "seconds"]).filter(found.trials["state"] == "complete")
    lowest_first = found.value == trials["value"].min()
    best = trials.sort("value", descending=not lowest_first).head(_SHOWN)
    table = Table(box=None, header_style="bold")
    for name in best.columns:
        table.add_column(found.metric if name == "value" else name)
    for row in best.iter_rows():
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else escape(str(v)) for v in row))
    Console(highlight=False).print(table)
    typer.echo(str(found))


def _command(data: str, found: Tuned, reading: dict[str, Any], out_dir: Path | None) -> str:
    """The command line that fits the model with the best settings."""
    words = ["tastemaker", "fit", data, "--model", found.model.name]
    defaults = type(found.model)().saved_parameters()
    changed = {n: v for n, v in found.model.saved_parameters().items() if v != defaults[n]}
    for name, value in changed.items():
        text = json.dumps(value) if not isinstance(value, str) else value
        words += ["--set", f"{name}={text}"]
    for name, value in reading.items():
        if value is not None and value != {"user": "user", "item": "item", "duplicates": "auto"}.get(name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join([*words, "--out", str(out_dir or f"{found.model.name}-tuned")])
