"""``tastemaker import``: a file of who did what, into the store."""

from typing import Annotated

import typer
from rich.console import Console

from tastemaker import progress
from tastemaker.cli import options as opt
from tastemaker.cli.progress import TerminalProgress
from tastemaker.cli.store import DEFAULT, open_store

__all__ = ["EXAMPLE", "import_"]

EXAMPLE = (
    "Examples: `tastemaker import ratings.csv --to sqlite:///shop.db --user customer --item film --rating stars "
    "--timestamp rated_at --item-features films.csv` · `tastemaker import sales.parquet --kind purchase --timestamp day`"
)
_out = Console(highlight=False, soft_wrap=True)


def import_(
    data: opt.Data,
    url: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            envvar="TASTEMAKER_DB",
            help="The store: sqlite:///FILE or postgresql://USER@HOST/NAME; made if it is not there.",
        ),
    ] = DEFAULT,
    kind: Annotated[
        str | None,
        typer.Option(help="What happened: click, view, cart, purchase, like …; by default rating or view."),
    ] = None,
    user: opt.UserColumn = "user",
    item: opt.ItemColumn = "item",
    rating: opt.RatingColumn = None,
    timestamp: opt.TimeColumn = None,
    separator: opt.Separator = None,
    columns: opt.Columns = None,
    user_features: opt.UserFeatures = None,
    item_features: opt.ItemFeatures = None,
) -> None:
    """Put a table of who did what into the store, with what is known of users and items. Doing it again adds nothing."""
    with TerminalProgress() as bars, progress.use(bars):
        table = opt.open_data(
            data,
            user=user,
            item=item,
            rating=rating,
            timestamp=timestamp,
            separator=separator,
            columns=columns,
            user_features=user_features,
            item_features=item_features,
        )
        with open_store(url, upgrade=True) as store:
            from tastemaker.service.importing import import_dataset

            found = import_dataset(store, table, kind or ("view" if rating is None else "rating"))
    _out.print(
        f"{found.events:,} events ({found.duplicates:,} were there already), "
        f"{found.users:,} users and {found.items:,} items are in the store"
    )
