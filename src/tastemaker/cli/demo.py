"""The demo: every model that takes no extra on one data set, measured; two home screens side by side; the best model saved."""

from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tastemaker import datasets
from tastemaker.cli.options import open_data, program
from tastemaker.data import Dataset
from tastemaker.errors import CannotAnswerError
from tastemaker.evaluation import Comparison, compare
from tastemaker.models import model_class, names, needs_torch
from tastemaker.models.base import Recommender
from tastemaker.ranking.reasons import label
from tastemaker.ranking.recommendations import Recommendation

__all__ = ["run"]

_METRICS = ("rmse", "ndcg@10", "map@10", "recall@10", "coverage@10", "popularity_lift@10")
_METRICS_IMPLICIT = _METRICS[1:]
_PICKS, _ALIKE = 6, 4


def run(data_name: str, folder: Path, seed: int, console: Console) -> None:
    """Fit and measure the models, show two home screens, save the best, say what to type next."""
    world = datasets.world(seed=seed) if data_name == "world" else None
    data = world.dataset if world else open_data(data_name)
    console.print(repr(data), soft_wrap=True)
    metrics = _METRICS if data.schema.explicit else _METRICS_IMPLICIT
    shown = [name for name in names() if not needs_torch(name)]
    found = compare({name: model_class(name)() for name in shown}, data, metrics=metrics, seed=seed)
    console.print("\n[bold]Every model that takes no extra, 20 % of the ratings held out[/]")
    typer.echo(str(found))

    best = _best_personal(found)
    wanted = shown if world else [best, "content"]
    fitted = {name: model_class(name)().fit(data) for name in wanted}
    if world:
        _print_truth(fitted, world.preferences_of(data), console)
    model, content = fitted[best], fitted["content"]
    users = _two_users(data)
    console.print(f"\n[bold]Two home screens[/], by {best}, which guessed best what they chose (ndcg@10)")
    screens = Table.grid(expand=True, padding=(0, 1))
    for _ in users:
        screens.add_column(ratio=1)
    screens.add_row(*(_screen(model, content, user) for user in users))
    console.print(screens)
    saved = model.save(folder)
    console.print(
        f"\n{best} is saved in {saved}. Next:\n"
        f"  {program()} recommend {saved} --user {users[0]} --reasons\n"
        f"  {program()} similar {saved} --item {data.items.decode_list([0])[0]}\n"
        f"  {program()} evaluate {data_name} --model {best},popularity --protocol kfold\n"
        f"  {program()} fit --help",
        soft_wrap=True,
    )


def _best_personal(found: Comparison) -> str:
    """The best model by the first ranking metric, of those whose lists differ from user to user by taste."""
    order = found.to_polars().filter(metric="ndcg@10").sort("value", descending=True, nulls_last=True)
    return next(
        str(name) for name in order["model"] if name in names() and name not in ("popularity", "random")
    )


def _two_users(data: Dataset) -> list[Any]:
    """Alice and Bob where they exist; else the two active users who have the least in common."""
    codes = data.users.encode(["alice", "bob"])
    if (codes >= 0).all():
        return ["alice", "bob"]
    active = np.argsort(-data.by_user.lengths, kind="stable")[:50]
    liked = data.matrix()[active]
    liked.data[:] = 1
    common = (liked @ liked.T).toarray()
    first, second = np.unravel_index(np.argmin(common), common.shape)
    return data.users.decode_list([active[first], active[second]])


def _screen(model: Recommender[Any], content: Recommender[Any], user: Any) -> Panel:
    picks = _with_reasons(model, content, user)
    favourite = _favourite(model, user)
    seed = model.catalogue.items.decode_list([favourite])[0]
    alike_by = model if "seeds" in model.answers else content
    seen = model.catalogue.history
    code = int(model.catalogue.users.encode([user])[0])
    deny = model.catalogue.items.decode_list(seen.indices[seen.indptr[code] : seen.indptr[code + 1]])
    deny += [slot.item for slot in picks]
    alike = alike_by.similar_items([seed], k=_ALIKE, deny=deny)[0]
    rows: list[RenderableType] = [Text("Top picks for you", style="bold cyan")]
    for slot in picks:
        rows += [_line(slot.title), Padding(Text(slot.reason, style="dim"), (0, 0, 0, 3))]
    rows += [Text(""), Text(f"Because you liked {label(model.catalogue, favourite)}", style="bold cyan")]
    rows += [_line(slot.title) for slot in alike]
    return Panel(Group(*rows), title=f"{escape(str(user)).capitalize()}'s home screen", title_align="left")


def _line(title: str) -> Text:
    return Text(f" ▸ {title}", no_wrap=True, overflow="ellipsis")


def _with_reasons(model: Recommender[Any], content: Recommender[Any], user: Any) -> list[Recommendation]:
    """The model's picks, explained by the model, or else by what the items are."""
    try:
        return model.recommend([user], k=_PICKS, explain=True)[0]
    except CannotAnswerError:
        picks = model.recommend([user], k=_PICKS).lists()[0]
        return content.recommend([user], k=_PICKS, allow=picks, explain=True)[0]


def _favourite(model: Recommender[Any], user: Any) -> int:
    """The item that the user valued most, the latest of equals."""
    code = int(model.catalogue.users.encode([user])[0])
    own = model.catalogue.history[code : code + 1]
    return int(own.indices[np.lexsort((own.timestamp, own.weight, own.value))[-1]])


def _print_truth(
    models: dict[str, Recommender[Any]], preferences: NDArray[np.float32], console: Console
) -> None:
    """What the lists are truly worth, which only a generated world can tell."""
    seen = next(iter(models.values())).catalogue.history
    unseen = preferences.copy()
    unseen[seen.rows(), seen.indices] = np.nan
    best = -np.sort(-np.nan_to_num(unseen, nan=-np.inf), axis=1)[:, :10]
    table = Table("ten unseen titles chosen by", "are truly worth", box=None, header_style="bold")
    for name, model in models.items():
        found = model.recommend(k=10)
        user, slot = np.nonzero(found.items >= 0)
        table.add_row(name, f"{preferences[user, found.items[user, slot]].mean():.2f} stars")
    table.add_row("one who knows the truth", f"{best.mean():.2f} stars")
    console.print(
        "\n[bold]The truth[/], known in a generated world only. Held-out ratings tell what people chose to watch, "
        "which popularity shapes too; what they would enjoy most is another question:"
    )
    console.print(table)
