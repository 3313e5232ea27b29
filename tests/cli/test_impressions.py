"""Click-through data at the command line: from a table of what was shown to measures, pictures and lists in a context."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tastemaker as tm
from cli.running import Cli


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ads that were shown: coffee is clicked in the morning, beer in the evening, more by those who like them."""
    random = np.random.default_rng(4)
    who, hour = random.integers(0, 40, 3000), random.choice([8, 20], 3000)
    ad = random.choice(["coffee", "beer", "soap"], 3000)
    right = ((ad == "coffee") & (hour == 8)) | ((ad == "beer") & (hour == 20))
    clicked = random.random(3000) < np.where(right, 0.6, 0.1)
    path = tmp_path_factory.mktemp("ads") / "shown.csv"
    rows = {"who": who, "ad": ad, "hour": hour, "clicked": clicked.astype(int)}
    pl.DataFrame(rows).write_csv(path)
    people = {"who": range(40), "age": [20 + i % 30 for i in range(40)]}
    pl.DataFrame(people).write_csv(path.with_name("people.csv"))
    return path


IMPRESSIONS = ["--user", "who", "--item", "ad", "--label", "clicked", "--context", "hour"]


def test_impressions_from_a_file_to_measures_and_pictures(cli: Cli, shown: Path, tmp_path: Path) -> None:
    run = cli(
        "evaluate", shown, *IMPRESSIONS, "--user-features", shown.with_name("people.csv"), "--protocol", "rows",
        "--model", "deep_fm,popularity", "--set", "deep_fm.epochs=20", "--set", "deep_fm.learning_rate=0.01",
        "--roc", tmp_path / "roc.png", "--calibration", tmp_path / "calibration.png", "--json",
    )  # fmt: skip
    assert run.code == 0, run.err
    found = {
        (one["model"], measured["metric"]): measured["value"]
        for one in json.loads(run.out)["reports"]
        for measured in one["metrics"]
    }
    assert found["deep_fm", "auc_global"] > 0.7 > found["popularity", "auc_global"]
    assert found["deep_fm", "log_loss"] < 0.6
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "calibration.png").read_bytes().startswith(b"\x89PNG")


def test_a_model_of_impressions_is_asked_in_its_context(cli: Cli, shown: Path, tmp_path: Path) -> None:
    run = cli(
        "fit", shown, *IMPRESSIONS, "--user-features", shown.with_name("people.csv"), "--model", "deep_fm",
        "--set", "epochs=20", "--set", "learning_rate=0.01", "--out", tmp_path / "ads",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert "3,000 impressions" in run.out
    for hour, best in ((8, "coffee"), (20, "beer")):
        wish = ("--context", f"hour={hour}", "--seen", "-k", 1)
        assert best in cli("recommend", tmp_path / "ads", "--user", 7, *wish).out
        assert best in cli("recommend", tmp_path / "ads", "--feature", "age=33", *wish).out
    for options, message in (
        (["--feature", "age"], "expected NAME=VALUE such as hour=20, got 'age'"),
        (["--user", 7, "--context", "day=3"], "context features: no column 'hour'"),
        (["--user", 7, "--context", "hour=eight"], "the training data have whole numbers"),
        (["--context", "hour=8"], "or --feature alone"),
        (["--out", tmp_path / "x.parquet", "--context", "hour=8"], "without --feature and --context"),
    ):
        run = cli("recommend", tmp_path / "ads", *options)
        assert run.code != 0
        assert message in " ".join(run.err.replace("│", " ").split())


def test_labels_exclude_what_is_of_ratings(cli: Cli, shown: Path, tmp_path: Path) -> None:
    for options in (["--rating", "hour"], ["--scale", "0,1"], ["--duplicates", "last"]):
        run = cli("evaluate", shown, *IMPRESSIONS, *options, "--model", "popularity")
        assert (run.code, "--label: impressions have no --rating" in run.err) == (1, True)
    unlabelled = ("--user", "who", "--item", "ad", "--model", "popularity")
    run = cli("evaluate", shown, *unlabelled, "--calibration", tmp_path / "c.png")
    assert (run.code, "click rates need labels" in run.err) == (1, True)


def test_click_through_data_is_measured_by_its_labels(cli: Cli, tmp_path: Path) -> None:
    labels = {"user": [1, 1, 2, 2] * 25, "item": list(range(10)) * 10, "label": [0, 1, 1, 0] * 25}
    path = tm.Dataset.from_impressions(labels).save(tmp_path / "shown")
    run = cli("evaluate", path, "--model", "popularity", "--roc", tmp_path / "roc.png")
    assert run.code == 0, run.err
    assert "auc_global" in run.out
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
