"""The command line from a file to a list; and one line, an exit code and no traceback for what cannot be."""

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

import tastemaker as tm
from cli.running import Cli
from tastemaker.cli.options import typed_ids


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop's sales with a semicolon between the fields and the shop's own column names."""
    world = tm.datasets.world(users=60, items=40, seed=3)
    path = tmp_path_factory.mktemp("shop") / "sales.csv"
    table = world.interactions.select(
        customer="user", sku="item", stars="rating", day=pl.col("timestamp").dt.epoch("s")
    )
    table.write_csv(path, separator=";")
    world.items.select(pl.col("item").alias("sku"), "title", "price", "year").write_csv(
        path.with_name("items.csv")
    )
    return path


COLUMNS = [
    "--user",
    "customer",
    "--item",
    "sku",
    "--rating",
    "stars",
    "--timestamp",
    "day",
    "--separator",
    ";",
]


@pytest.fixture(scope="module")
def saved(sales: Path) -> Path:
    data = tm.Dataset.from_interactions(
        sales,
        user="customer",
        item="sku",
        rating="stars",
        separator=";",
        item_features=sales.with_name("items.csv"),
    )
    return tm.ItemKNN().fit(data).save(sales.with_name("model"))


def test_from_a_file_to_a_list(cli: Cli, sales: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    fitted = cli(
        "fit", sales, "--model", "mf", *COLUMNS, "--set", "factors=8", "--set", "epochs=3", "--scale", "1,5",
        "--item-features", sales.with_name("items.csv"), "--out", out,
    )  # fmt: skip
    assert fitted.code == 0, fitted.err
    assert "factors=8" in fitted.out
    assert f"tastemaker recommend {out} --user" in fitted.out
    listed = cli("recommend", out, "--user", "alice", "--user", "bob", "-k", 3, "--json")
    answers = json.loads(listed.out)
    assert [a["user"] for a in answers] == ["alice", "bob"]
    assert [len(a["items"]) for a in answers] == [3, 3]
    model = tm.load(out)
    assert [[i["item"] for i in a["items"]] for a in answers] == model.recommend(
        ["alice", "bob"], k=3
    ).lists()


def test_recommend_for_a_history_with_reasons_and_conditions(cli: Cli, saved: Path) -> None:
    first, second = tm.load(saved).catalogue.items.decode_list([0, 1])
    table = cli("recommend", saved, "--history", f"{first},{second}", "--reasons", "-k", 5)
    assert table.code == 0
    assert "because you liked" in table.out
    cheap = cli("recommend", saved, "--history", first, "--where", "year > 2010", "--deny", second, "--json")
    years = dict(zip(*_columns(saved, "year"), strict=True))
    items = [i["item"] for i in json.loads(cheap.out)[0]["items"]]
    assert items
    assert second not in items
    assert all(int(years[i]) > 2010 for i in items)


def test_everybodys_lists_in_a_file(cli: Cli, saved: Path, tmp_path: Path) -> None:
    run = cli("recommend", saved, "--out", tmp_path / "lists.parquet", "-k", 4)
    assert run.code == 0, run.err
    table = pl.read_parquet(tmp_path / "lists.parquet")
    assert table.columns == ["user", "item", "rank", "score", "source"]
    assert table["user"].n_unique() == tm.load(saved).catalogue.n_users


def _columns(saved: Path, name: str) -> tuple[list[str], list[object]]:
    catalogue = tm.load(saved).catalogue
    return catalogue.items.ids.to_list(), catalogue.item_features[name].to_list()


def test_similar_and_explain(cli: Cli, saved: Path) -> None:
    model = tm.load(saved)
    item = model.catalogue.items.decode_list([0])[0]
    like = cli("similar", saved, "--item", item, "-k", 3)
    assert like.code == 0
    assert f"like {item}" in like.out
    shown = model.recommend(["alice"], k=1).lists()[0][0]
    why = cli("explain", saved, "--user", "alice", "--item", shown)
    assert why.code == 0
    assert "because you liked" in why.out


@pytest.mark.parametrize("protocol", ["holdout", "kfold", "leave-last", "time", "session", "rows"])
def test_evaluate_by_every_protocol(cli: Cli, sales: Path, protocol: str) -> None:
    run = cli(
        "evaluate", sales, *COLUMNS, "--model", "item_knn,popularity", "--protocol", protocol, "--folds", 3,
        "--gap", 7 * 24 * 60, "--metrics", "ndcg@5,map@10",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert "ndcg@5" in run.out
    assert "item_knn" in run.out


def test_sessions_of_a_file_keep_what_a_visitor_came_back_to(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_text("user,item,at\nx,a,0\nx,b,60\nx,a,360000\nx,c,360060\n")
    arguments = ["--model", "popularity", "--protocol", "session", "--ratings", 0.5, "--metrics", "ndcg@5"]
    run = cli("evaluate", path, *arguments, "--timestamp", "at")
    assert run.code == 0, run.err
    assert "Dataset of users" not in run.out
    run = cli("evaluate", path, *arguments)
    assert run.code == 1
    assert "visits.csv has no times; build it with timestamp=<column>" in run.err
    saved = tm.Dataset.from_interactions(path, timestamp="at", session_gap=timedelta(hours=1)).save(
        tmp_path / "saved"
    )
    assert "more than 60 minutes" in " ".join(cli("evaluate", saved, *arguments).out.split())
    assert cli("evaluate", saved, *arguments, "--gap", 60).code == 0
    run = cli("evaluate", saved, *arguments, "--gap", 30)
    assert run.code == 1
    assert "holds sessions already, which end with a pause of more than 60 minutes" in run.err


def test_each_next_item_of_sessions(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_text("user,item,at\nx,a,0\nx,b,60\ny,a,360000\ny,c,360060\ny,b,360120\n")
    arguments = [
        "--model",
        "popularity",
        "--protocol",
        "session",
        "--ratings",
        0.6,
        "--timestamp",
        "at",
        "--json",
    ]
    for more, lists, asked in ((["--each"], 2, "each next item"), ([], 1, "the last item")):
        report = json.loads(cli("evaluate", path, *arguments, *more).out)
        assert report["counts"]["lists"] == lists
        assert asked in report["protocol"]


@pytest.mark.parametrize("gap", ["1e20", "inf"])
def test_sessions_that_no_pause_ends(cli: Cli, sales: Path, gap: str) -> None:
    run = cli("evaluate", sales, *COLUMNS, "--model", "popularity", "--protocol", "session", "--gap", gap)
    assert run.code == 1, "everybody's one session has begun before the cut"
    assert "0 next items to ask for" in run.err


def test_evaluate_one_model_as_json(cli: Cli, sales: Path) -> None:
    run = cli(
        "evaluate", sales, *COLUMNS, "--model", "mf", "--set", "epochs=2", "--metrics", "rmse", "--json"
    )
    report = json.loads(run.out)
    assert report["model"] == "MatrixFactorization" or report["model"] == "mf"
    assert 0.3 < report["metrics"][0]["value"] < 2


def test_roc_curve_as_a_picture(cli: Cli, sales: Path, tmp_path: Path) -> None:
    run = cli(
        "evaluate",
        sales,
        *COLUMNS,
        "--model",
        "mf,user_knn",
        "--metrics",
        "rmse",
        "--roc",
        tmp_path / "roc.png",
    )
    assert run.code == 0, run.err
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_settings_can_be_for_one_of_several_models(cli: Cli, sales: Path) -> None:
    run = cli(
        "evaluate", sales, *COLUMNS, "--model", "mf,item_knn", "--set", "mf.factors=4", "--metrics", "ndcg@5", "--json"
    )  # fmt: skip
    assert run.code == 0, run.err
    assert '"factors": 4' in run.out


def test_a_saved_dataset_is_data(cli: Cli, tmp_path: Path) -> None:
    path = tm.datasets.world(users=40, items=30).dataset.save(tmp_path / "world")
    assert cli("evaluate", path, "--model", "popularity", "--metrics", "hit_rate@5").code == 0


def test_demo(cli: Cli, tmp_path: Path) -> None:
    run = cli("demo", "--out", tmp_path / "demo")
    assert run.code == 0, run.err
    for part in (
        "popularity",
        "mf",
        "Alice's home screen",
        "Bob's home screen",
        "because",
        "tastemaker recommend",
    ):
        assert part in run.out
    model = tm.load(tmp_path / "demo")
    alice, bob = model.recommend(["alice", "bob"], k=6).lists()
    assert alice != bob


@pytest.mark.real_data
def test_demo_on_public_data(cli: Cli, tmp_path: Path, real_data: Path) -> None:
    run = cli("demo", "--data", "ml-100k", "--out", tmp_path / "demo")
    assert run.code == 0, run.err
    assert run.out.count("home screen") >= 2


@pytest.mark.real_data
def test_integer_ids_are_typed_as_text(cli: Cli, tmp_path: Path, real_data: Path) -> None:
    assert cli("fit", "ml-100k", "--model", "item_knn", "--out", tmp_path / "films").code == 0
    run = cli("recommend", tmp_path / "films", "--user", 7, "--json")
    assert json.loads(run.out)[0]["user"] == 7
    assert cli("recommend", tmp_path / "films", "--history", "50,172").code == 0
    assert cli("similar", tmp_path / "films", "--item", 50).code == 0


def test_ids_are_typed_as_they_are_spelled() -> None:
    numbers = tm.Dataset.from_interactions({"user": [7, -8], "item": [date(2024, 1, 2), date(2024, 1, 3)]})
    assert typed_ids(numbers.users, ["7", " -8", "--5", "²", "x", "-"]) == [7, -8, "--5", "²", "x", "-"]
    assert typed_ids(numbers.items, ["2024-01-02", "soon"]) == [date(2024, 1, 2), "soon"]
    truths = tm.Dataset.from_interactions({"user": [True, False], "item": ["007", "7"]})
    assert typed_ids(truths.users, ["true", "False", "1"]) == [True, False, "1"]
    assert typed_ids(truths.items, ["007", "7"]) == ["007", "7"]


def test_brackets_in_paths_print_as_they_are(cli: Cli, sales: Path, tmp_path: Path) -> None:
    run = cli("fit", sales, *COLUMNS, "--out", tmp_path / "[red]")
    assert "[red] --user" in run.out


def test_lists_data_sets_and_models(cli: Cli) -> None:
    assert {"world", "ml-100k", "ml-1m", "gowalla"} <= set(cli("datasets").out.split())
    listed = cli("models").out
    assert "item_knn" in listed
    assert "neighbors=" in listed
    assert cli("--version").out.strip() == tm.__version__


@pytest.mark.parametrize(
    "command", ["demo", "datasets", "models", "fit", "evaluate", "recommend", "similar", "explain"]
)
def test_help_has_an_example(cli: Cli, command: str) -> None:
    run = cli(command, "--help")
    assert run.code == 0
    assert "Example" in run.out


def bad_file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("who,sku,stars\na,1,5\n", [], "no column 'customer'"),
        ("customer,sku,stars\na,1,5\n,2,4\n", [], "column 'customer': 1 ids are missing; row 2"),
        (
            "customer,sku,stars\na,1,5\nb,2,nan\n",
            [],
            "column 'stars': 1 values are missing, NaN or infinite; row 2",
        ),
        ("customer;sku;stars\na;1;5\n", [], "is the separator ';'?"),
        ("", [], "is empty"),
        ("customer,sku,stars\n", [], "there are no rows"),
        (
            "customer,sku,stars\na,1,9\n",
            ["--scale", "1,5"],
            "1 ratings are outside the declared scale 1–5; row 1: 9",
        ),
        ("customer,sku,stars\na,1,five\n", [], "column 'stars': 1 values are not numbers; row 1: 'five'"),
        ("customer,sku,stars\na,1,5\n", ["--scale", "five"], "expected LOW,HIGH such as 1,5"),
        (
            "customer,sku,stars\na,1,5\n",
            ["--set", "factors=0"],
            "factors must be a whole number of at least 1",
        ),
        ("customer,sku,stars\na,1,5\n", ["--set", "colour=red"], "mf has the hyper-parameters factors="),
        (
            "customer,sku,stars\na,1,5\n",
            ["--duplicates", "best"],
            "expected auto, first, last, sum, max, mean or error",
        ),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    cli: Cli, tmp_path: Path, text: str, options: list[str], message: str
) -> None:
    path = bad_file(tmp_path / "bad.csv", text)
    names = ["--user", "customer", "--item", "sku", "--rating", "stars"]
    run = cli("fit", path, "--model", "mf", *names, *options, "--out", tmp_path / "model")
    assert run.code == 1
    assert message in run.err
    assert run.err.startswith("error: ")
    assert not (tmp_path / "model").exists()


def test_other_mistakes_are_one_line_too(cli: Cli, saved: Path, sales: Path, tmp_path: Path) -> None:
    for arguments, code, message in (
        (["fit", "no-such-data", "--out", tmp_path / "x"], 1, "neither a file nor a data set"),
        (["fit", "no/such/file.csv", "--out", tmp_path / "x"], 1, "no such file"),
        (["fit", sales, "--model", "magic", "--out", tmp_path / "x"], 1, "no model is called 'magic'"),
        (
            ["evaluate", sales, *COLUMNS, "--model", "mf,item_knn", "--set", "mff.factors=4"],
            1,
            "no model 'mff' here",
        ),
        (["fit", sales, *COLUMNS, "--set", "mf.factors=4", "--out", tmp_path / "x"], 1, "no model 'mf' here"),
        (["evaluate", sales, *COLUMNS, "--model", ","], 1, "--model: expected names of models"),
        (["recommend", tmp_path, "--user", "a"], 1, "is not a saved model"),
        (["recommend", saved], 2, "give one of --user, --history and --out"),
        (["recommend", saved, "--user", "alice", "--where", "colour = 1"], 1, "colour"),
        (["recommend", saved, "--user", "alice", "-k", 0], 2, "greater than or equal to 1"),
        (["similar", saved, "--item", "nothing"], 1, "does not know the item 'nothing'"),
        (["explain", saved, "--user", "nobody", "--item", "x"], 1, "does not know the"),
        (["evaluate", sales, *COLUMNS, "--metrics", "ndgc@5"], 1, "ndcg"),
        (["evaluate", sales, *COLUMNS, "--protocol", "predefined"], 1, "no published split"),
        (["evaluate", sales, *COLUMNS, "--ratings", "1.5"], 1, "1.5"),
        (["evaluate", sales, *COLUMNS, "--protocol", "magic"], 2, "magic"),
        (["evaluate", sales, *COLUMNS, "--roc", "curve.foo"], 2, ".png, .svg or .html"),
        (
            ["fit", sales, *COLUMNS, "--separator", "", "--out", tmp_path / "x"],
            1,
            "separator: expected one character",
        ),
        (["fit", sales, *COLUMNS, "--out", sales], 1, "cannot be a folder for models"),
        (["fit", sales, *COLUMNS, "--out", sales.parent], 1, "is not a bundle of saved models"),
        (
            ["fit", sales, *COLUMNS, "--model", "mf", "--set", "learning_rate=90", "--out", tmp_path / "x"],
            1,
            "diverged",
        ),
        (
            ["fit", sales, *COLUMNS, "--model", "mf", "--set", "biases=maybe", "--out", tmp_path / "x"],
            1,
            "True or False",
        ),
    ):
        run = cli(*arguments)
        assert run.code == code, (arguments, run)
        assert message in run.err


def test_the_program_as_installed(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("tastemaker")
    run = subprocess.run(
        [program, "fit", tmp_path / "none.csv", "--out", tmp_path / "m"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "no such file" in run.stderr
    assert "Traceback" not in run.stderr
