"""The commands. Each reads its options, calls the library once, and prints."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import tastemaker
from tastemaker import progress
from tastemaker.cli import importing
from tastemaker.cli import options as opt
from tastemaker.cli import serve as serving
from tastemaker.cli import store as storing
from tastemaker.cli import train as training
from tastemaker.cli import tune as tuning
from tastemaker.cli.progress import TerminalProgress
from tastemaker.data.dataset import Schema
from tastemaker.data.sessions import sessions
from tastemaker.errors import TastemakerError
from tastemaker.evaluation import Comparison, Protocol, Report, compare, make_splits
from tastemaker.evaluation import evaluate as measure
from tastemaker.models import model_class, names
from tastemaker.models.base import Recommender
from tastemaker.models.bundle import check_folder, load
from tastemaker.models.export import recommend_to_parquet
from tastemaker.ranking.recommendations import Recommendations

app = typer.Typer(
    help="From a table of who-liked-what to a list worth showing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: `tastemaker demo`",
)
out = Console(highlight=False)


@contextmanager
def _showing() -> Iterator[None]:
    with TerminalProgress() as bars, progress.use(bars):
        yield


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        out.print(tastemaker.__version__)
        raise typer.Exit


@app.command(epilog="Example: `tastemaker datasets`")
def datasets() -> None:
    """List the data sets that can be named, where each was found, and what it holds."""
    table = Table(box=None, header_style="bold")
    for column in ("name", "where", "what"):
        table.add_column(column)
    for row in tastemaker.datasets.overview():
        table.add_row(row.name, row.where, row.about)
    out.print(table)


@app.command(epilog="Example: `tastemaker models`")
def models() -> None:
    """List the models with what they answer and their hyper-parameters."""
    for name in names():
        kind = model_class(name)
        settings = ", ".join(f"{k}={v!r}" for k, v in kind().parameters().items())
        out.print(f"[bold]{name}[/]  answers {', '.join(sorted(kind.answers))}")
        out.print(f"  {escape(settings)}\n  {escape(kind.cold_start)}")


@app.command(
    epilog="Examples: `tastemaker fit ml-100k --model mf --out mf-films` · "
    "`tastemaker fit sales.csv --model item_knn --user customer --item sku --separator ';' --out shop`"
)
def fit(
    ctx: typer.Context,
    data: opt.Data,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to save the model.")],
    model: Annotated[str, typer.Option(help="Which model: see `tastemaker models`.")] = "item_knn",
    settings: opt.Settings = None,
    gap: opt.SessionGap = None,
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
    """Fit a model on all of the data and save it."""
    check_folder(out_dir)
    chosen = opt.build_models([model], settings)[model]
    with _showing():
        pause = None if gap is None else opt.pause(gap)
        interactions = opt.table_of(ctx, pause)
        if pause is not None:
            interactions = sessions(interactions, pause)
        out.print(escape(repr(interactions)))
        start = time.perf_counter()
        chosen.fit(interactions)
        seconds = time.perf_counter() - start
    saved = escape(str(chosen.save(out_dir)))
    someone = escape(str(interactions.users.decode_list([0])[0]))
    out.print(f"fitted {escape(repr(chosen))} in {seconds:.1f} s, saved in {saved}", soft_wrap=True)
    out.print(f"next: [bold]{opt.program()} recommend {saved} --user {someone}[/]", soft_wrap=True)


@app.command(
    epilog="Examples: `tastemaker evaluate ml-100k --model mf,popularity --protocol kfold --metrics rmse` · "
    "`tastemaker evaluate sales.csv --model item_knn,popularity --protocol leave-last --timestamp day` · "
    "`tastemaker evaluate shown.csv --model deep_fm,logistic_regression --protocol rows --label clicked --context hour,device`"
)
def evaluate(
    ctx: typer.Context,
    data: opt.Data,
    model: Annotated[
        str, typer.Option(metavar="NAME,…", help="One model, or several to compare.")
    ] = "item_knn,mf",
    protocol: Annotated[Protocol, typer.Option(help="How to part the data.")] = "holdout",
    folds: Annotated[int, typer.Option(min=2, help="How many folds (kfold).")] = 5,
    ratings: Annotated[
        float,
        typer.Option(help="Share of a user's ratings (holdout) or of all (time, session, rows) to hold out."),
    ] = 0.2,
    users: Annotated[float, typer.Option(help="Share of the users to hold them out of (holdout).")] = 1.0,
    gap: opt.Gap = None,
    each: Annotated[
        bool,
        typer.Option(
            "--each", help="Ask for each item of a session but the first, not for the last alone (session)."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same split.")] = 0,
    metrics: Annotated[
        str | None, typer.Option(metavar="A,B", help="E.g. rmse,map@10; by default what suits the data.")
    ] = None,
    k: opt.Length = 10,
    sampled: Annotated[
        int | None, typer.Option(help="Rank among so many random items only; labelled so.")
    ] = None,
    settings: opt.Settings = None,
    roc: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the ROC curve into a PNG, SVG or HTML file.")
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw predicted against observed click rates (with --label)."),
    ] = None,
    as_json: opt.AsJson = False,
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
    """Hold out, measure, compare: what models are worth on data that they have not seen."""
    chosen = opt.build_models(_split(model), settings)
    for option, picture in (("--roc", roc), ("--calibration", calibration)):
        if picture is not None and (
            picture.suffix not in (".png", ".svg", ".html") or not picture.absolute().parent.is_dir()
        ):
            raise typer.BadParameter(
                f"{option}: expected a .png, .svg or .html file in a folder that exists, got {picture}"
            )
    with _showing():
        pause = opt.pause(gap) if protocol == "session" else None
        interactions = opt.table_of(ctx, pause)
        if calibration is not None and not interactions.schema.clicks:
            raise TastemakerError("--calibration: click rates need labels; give --label")
        try:
            splits = make_splits(
                interactions,
                protocol,
                folds=folds,
                seed=seed,
                ratings=ratings,
                users=users,
                gap=None if gap is None else pause,
                each=each,
            )
            if roc is not None:
                metrics = _with_roc(metrics, interactions.schema)
            report: Report | Comparison
            if len(chosen) == 1:
                only = next(iter(chosen.values()))
                report = measure(only, splits, metrics=metrics, k=k, seed=seed, sampled=sampled)
            else:
                report = compare(chosen, splits, metrics=metrics, k=k, seed=seed, sampled=sampled)
        except ValueError as error:
            raise TastemakerError(str(error)) from error
    typer.echo(report.to_json() if as_json else str(report))
    if roc is not None:
        report.roc_plot(roc)
    if calibration is not None:
        report.calibration_plot(calibration)


def _with_roc(metrics: str | None, schema: Schema) -> str:
    """The metrics with one that draws the curve."""
    if schema.clicks:
        usual, area = "auc,log_loss,calibration_error", "auc_global"
    else:
        usual, area = ("rmse,ndcg,map", "auc_global") if schema.explicit else ("ndcg,map", "auc_catalogue")
    wanted = metrics or usual
    return wanted if "auc_global" in wanted or "auc_catalogue" in wanted else f"{wanted},{area}"


app.command(epilog=tuning.EXAMPLE)(tuning.tune)
app.command(epilog=serving.EXAMPLE)(serving.serve)
app.command(epilog=training.EXAMPLE)(training.train)
app.command("import", epilog=importing.EXAMPLE)(importing.import_)
app.command(epilog="Example: `tastemaker export backup-of-monday`")(storing.export)
app.add_typer(storing.keys, name="keys")
app.add_typer(storing.db, name="db")


@app.command(epilog="Examples: `tastemaker demo` · `tastemaker demo --data ml-1m --out films`")
def demo(
    data: Annotated[
        str, typer.Option(help="A data set's name: a generated world, or a public one.")
    ] = "world",
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to save the best model.")
    ] = Path("demo-model"),
    seed: Annotated[int, typer.Option(help="Of the world and the split.")] = 0,
) -> None:
    """Fit every model, compare them, show two home screens, save the best model."""
    from tastemaker.cli.demo import run

    check_folder(out_dir)
    with _showing():
        run(data, out_dir, seed, out)


@app.command(
    epilog="Examples: `tastemaker recommend films --user 7 --user 9` · `tastemaker recommend films --history 50,172 --reasons` · "
    '`tastemaker recommend films --user 7 --where "year > 1990"` · `tastemaker recommend films --out lists.parquet` · '
    "`tastemaker recommend ads --user 7 --context hour=20 --context device=phone` · `tastemaker recommend ads --feature age=30`"
)
def recommend(
    saved: opt.Saved,
    user: Annotated[list[str] | None, typer.Option(metavar="ID", help="A user; may be repeated.")] = None,
    history: Annotated[
        list[str] | None, typer.Option(metavar="ID,ID", help="What someone new has liked; may be repeated.")
    ] = None,
    feature: opt.Described = None,
    context: opt.Circumstances = None,
    k: opt.Length = 10,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="A condition on the items' features.")
    ] = None,
    deny: Annotated[str | None, typer.Option(metavar="ID,ID", help="Items that must not be shown.")] = None,
    allow: Annotated[
        str | None, typer.Option(metavar="ID,ID", help="The only items that may be shown.")
    ] = None,
    seen: Annotated[bool, typer.Option("--seen", help="Show items that the user has had, too.")] = False,
    reasons: Annotated[bool, typer.Option("--reasons", help="Say why each item is there.")] = False,
    as_json: opt.AsJson = False,
    name: Annotated[str | None, typer.Option(help="Which model of a bundle of several.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write everybody's lists into a Parquet file."),
    ] = None,
) -> None:
    """Print the best items for known users, or for someone new by what they liked; or write everybody's into a file."""
    if bool(user) + bool(history) + bool(file) != 1 and not (feature and not (user or history or file)):
        raise typer.BadParameter("give one of --user, --history and --out, or --feature alone")
    if file is not None and (feature or context):
        raise typer.BadParameter(
            "--out: everybody's lists are made of what is stored, without --feature and --context"
        )
    model = load(saved, name=name)
    items = model.catalogue.items
    wish: dict[str, Any] = {
        "k": k,
        "exclude_seen": not seen,
        "filter": where,
        "deny": None if deny is None else opt.typed_ids(items, _split(deny)),
        "allow": None if allow is None else opt.typed_ids(items, _split(allow)),
    }
    if file is not None:
        with _showing():
            rows = recommend_to_parquet(model, file, **wish)
        out.print(
            f"{rows:,} rows for {model.catalogue.n_users:,} users in {escape(str(file))}", soft_wrap=True
        )
        return
    users = None if not user else opt.typed_ids(model.catalogue.users, user)
    given = None if not history else [opt.typed_ids(items, _split(h)) for h in history]
    asked = max(1, len(users or given or ()))
    wish |= {"features": opt.same_rows(feature, asked), "context": opt.same_rows(context, asked)}
    _print(model.recommend(users, history=given, explain=reasons, **wish), as_json)


@app.command(epilog="Example: `tastemaker similar films --item 50`")
def similar(
    saved: opt.Saved,
    item: Annotated[list[str], typer.Option(metavar="ID", help="An item; may be repeated.")],
    k: opt.Length = 10,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="A condition on the items' features.")
    ] = None,
    as_json: opt.AsJson = False,
    name: Annotated[str | None, typer.Option(help="Which model of a bundle of several.")] = None,
) -> None:
    """Print the items most similar to the given ones: also bought, or alike, as the model sees it."""
    model = load(saved, name=name)
    found = model.similar_items(_known(model, item, "item"), k=k, filter=where)
    _print(found, as_json, [f"like {i}" for i in item])


@app.command(epilog="Example: `tastemaker explain films --user 7 --item 50`")
def explain(
    saved: opt.Saved,
    user: Annotated[str, typer.Option(metavar="ID", help="The user.")],
    item: Annotated[str, typer.Option(metavar="ID", help="The item.")],
    name: Annotated[str | None, typer.Option(help="Which model of a bundle of several.")] = None,
) -> None:
    """Say what brought an item its score for a user."""
    model = load(saved, name=name)
    out.print(escape(str(model.explain(_known(model, [user], "user")[0], _known(model, [item], "item")[0]))))


def _known(model: Recommender[Any], texts: list[str], what: str) -> list[Any]:
    vocabulary = model.catalogue.users if what == "user" else model.catalogue.items
    ids = opt.typed_ids(vocabulary, texts)
    unknown = [i for i, code in zip(ids, vocabulary.encode(ids), strict=True) if code < 0]
    if unknown:
        raise tastemaker.DataError(f"the model does not know the {what} {unknown[0]!r}")
    return ids


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _print(found: Recommendations, as_json: bool, heads: list[str] | None = None) -> None:
    if as_json:
        typer.echo(found.to_json())
        return
    for q, slots in enumerate(found):
        head = heads[q] if heads else "anonymous" if found.queries[q] is None else str(found.queries[q])
        out.print(f"[bold]{escape(head)}[/] — {found.sources[q]}")
        table = Table(box=None, show_header=False, padding=(0, 1))
        for slot in slots:
            where = "" if slot.title == str(slot.item) else str(slot.item)
            cells = (str(slot.rank), slot.title, where, f"{slot.score:.4g}", slot.reason)
            table.add_row(*(escape(c) for c in cells))
        out.print(table)
        if found.shortfalls[q]:
            out.print(f"  {found.shortfalls[q]}")
    strangers = [str(u) for u in found.queries if u is not None and found.catalogue.users.encode([u])[0] < 0]
    if strangers:
        out.print(f"unknown, and so answered like someone without a history: {escape(', '.join(strangers))}")
    if found.unknown:
        out.print(f"{found.unknown} unknown ids were left out")
