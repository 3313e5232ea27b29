"""Damage in the files of public data sets is named by file and line."""

from pathlib import Path

import polars as pl
import pytest

from data.public_files import write
from tastemaker.data.public import coat, movielens, papers
from tastemaker.data.public.text import read_lists, read_quoted, read_rows
from tastemaker.errors import DataError


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "u.data",
            "7\t1\t5\t100\n8\t1\t3\n",
            r"line 2: expected 4 fields separated by '\\t' \(user, .*got 3: '8\\t1\\t3'",
        ),
        ("u.data", "7\t1\t5\t100\t0\n8\t1\t3\t1\n", r"line 1: expected 4 fields .*, got 5"),
        ("u.data", "7\t1\t5\t100\n8\t1\t3\t9\t9\n7\t3\t1\n", r"line 2: expected 4 fields .*, got 5"),
        (
            "u.data",
            "7\t1\t5\t100\n8\t1\tfive\t90\n",
            r"line 2: rating must be a whole number, got 'five' in '8\\t1\\tfive",
        ),
        ("u.data", "7\t1\t5\t100\n\n8\t1\t3\t90\n", r"line 2: expected 4 fields .*, got 1: ''"),
        ("u.data", "7\t1\t\t100\n", r"line 1: rating must be a whole number, got ''"),
        ("u.data", "7,1,5,100\n", r"line 1: expected 4 fields .*, got 1: '7,1,5,100'"),
        ("u.data", "", r"no rows in 0 bytes"),
        ("u.data", "\n\n", r"no rows in 2 bytes"),
        (
            "u.item",
            "1|Toy|01-Jan-1995||u|0|0|0|1|1|1\n2|Café|x||u|0|0\n",
            r"line 2: expected 11 fields .*, got 7",
        ),
        ("u.item", "1||01-Jan-1995||u|0|0|0|1|1|1\n", r"line 1: title must be text, got ''"),
        ("u.genre", "unknown|0\nAction|x\n", r"line 2: at must be a whole number, got 'x'"),
    ],
)
def test_damage_in_ml_100k_is_named(ml_100k: Path, name: str, text: str, told: str) -> None:
    write(ml_100k, name, text)
    with pytest.raises(DataError, match=rf"{name}.*{told}.*is damaged or is another file; replace it"):
        movielens.ml_100k(ml_100k)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "ratings.dat",
            "1::10::5::97\n2::10::1\n",
            r"line 2: expected 4 fields separated by '::' .*, got 3: '2::10::1'",
        ),
        ("ratings.dat", "1::10::5::97\n2:10:1:98\n", r"line 2: expected 4 fields .* got 1: '2:10:1:98'"),
        (
            "users.dat",
            "1::F::1::10::48067\n2::M::25::21::1\n",
            r"line 2: no occupation 21; they go from 0 to 20",
        ),
        (
            "movies.dat",
            "10::Toy (1995)::Comedy\nx::M (1931)::Crime\n",
            r"line 2: item must be a whole number, got 'x'",
        ),
    ],
)
def test_damage_in_ml_1m_is_named(ml_1m: Path, name: str, text: str, told: str) -> None:
    write(ml_1m, name, text)
    with pytest.raises(DataError, match=rf"{name}.*{told}"):
        movielens.ml_1m(ml_1m)


def test_a_missing_file_is_named(ml_1m: Path) -> None:
    (ml_1m / "users.dat").unlink()
    with pytest.raises(DataError, match=r"users\.dat cannot be read: No such file"):
        movielens.ml_1m(ml_1m)


def test_a_repeated_rating_and_one_off_the_scale_are_refused(ml_1m: Path) -> None:
    write(ml_1m, "ratings.dat", "1::10::5::97\n2::10::1::98\n1::10::4::99\n")
    with pytest.raises(DataError, match="mini: 1 interactions repeat a user and item"):
        movielens.ml_1m(ml_1m).dataset("mini")
    write(ml_1m, "ratings.dat", "1::10::5::97\n2::10::6::98\n")
    with pytest.raises(DataError, match="outside the declared scale 1–5"):
        movielens.ml_1m(ml_1m).dataset("mini")


def test_damage_in_latest_small_is_named(tmp_path: Path) -> None:
    write(tmp_path, "ratings.csv", "userId,movieId,rating\n1,1,4.0\n")
    with pytest.raises(
        DataError, match=r"ratings\.csv, line 1: expected the header 'userId,movieId,rating,timestamp'"
    ):
        movielens.ml_latest_small(tmp_path)
    write(tmp_path, "ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,9\n1,2,4.0.1,9\n")
    with pytest.raises(DataError, match=r"ratings\.csv, line 3: rating must be a number, got '4\.0\.1'"):
        movielens.ml_latest_small(tmp_path)
    write(tmp_path, "ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,9\n")
    write(tmp_path, "movies.csv", 'movieId,title,genres\n1,"A\nB (1990)",Drama\n2,Broken\n')
    with pytest.raises(DataError, match=r"movies\.csv, line 4: expected 3 fields .*, got 2: '2,Broken'"):
        movielens.ml_latest_small(tmp_path)
    write(tmp_path, "movies.csv", "movieId,name,genres\n1,A,Drama\n")
    with pytest.raises(
        DataError, match=r"movies\.csv, line 1: no column title; there are: movieId, name, genres"
    ):
        movielens.ml_latest_small(tmp_path)
    write(tmp_path, "movies.csv", "movieId,title,genres\nx,A,Drama\n")
    with pytest.raises(DataError, match=r"movies\.csv.*movieId must be a whole number, got 'x'"):
        movielens.ml_latest_small(tmp_path)


def test_damage_in_lists_is_named(gowalla: Path, ncf: Path) -> None:
    write(gowalla, "test.txt", "0 4\n1 1 x3 5\n")
    with pytest.raises(
        DataError, match=r"test\.txt, line 2: expected a whole number, got 'x3' in '1 1 x3 5'"
    ):
        papers.gowalla(gowalla)
    data = papers.ncf_ml_1m(ncf).dataset("mini")
    whole = (ncf / "ml-1m.test.negative").read_text()
    write(ncf, "ml-1m.test.negative", whole[:-8])
    with pytest.raises(DataError, match=r"negative, line 2: expected 101 numbers, got 99"):
        papers.ncf_ml_1m_folds(ncf, data)
    write(ncf, "ml-1m.test.negative", whole.replace("(1,1)", "(1,0)"))
    with pytest.raises(DataError, match=r"negative, line 2: expected user and item \[1, 1\], got \[1, 0\]"):
        papers.ncf_ml_1m_folds(ncf, data)


def test_damage_in_matrices_is_named(coat_folder: Path) -> None:
    text = (coat_folder / "train.ascii").read_text()
    write(coat_folder, "train.ascii", text[: len(text) // 2])
    with pytest.raises(
        DataError, match=r"train\.ascii, line 145: expected 300 numbers, got|expected 290 lines, got 145"
    ):
        coat.coat(coat_folder)
    write(coat_folder, "train.ascii", text)
    write(
        coat_folder,
        "user_item_features/user_features_map.txt",
        "age:20-30\nage\nlocation:urban\nlocation:rural",
    )
    with pytest.raises(DataError, match=r"user_features_map\.txt, line 2: expected group:level, got 'age'"):
        coat.coat(coat_folder)


def test_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "x.tsv", "a\t1\ncafé\t2\n", "latin-1")
    schema = {"name": pl.String, "n": pl.Int64}
    with pytest.raises(DataError, match=r"x\.tsv, line 2: not utf-8 text"):
        read_rows(path, schema)
    assert read_rows(path, schema, encoding="latin-1").rows() == [("a", 1), ("café", 2)]


def test_an_optional_field_may_be_empty_but_not_left_out(tmp_path: Path) -> None:
    schema = {"n": pl.Int64, "note": pl.String}
    path = write(tmp_path, "x.tsv", "1\tgood\n2\t\n")
    assert read_rows(path, schema, optional={"note"}).rows() == [(1, "good"), (2, None)]
    write(tmp_path, "x.tsv", "1\tgood\n2\n")
    with pytest.raises(DataError, match=r"x\.tsv, line 2: expected 2 fields .*, got 1: '2'"):
        read_rows(path, schema, optional={"note"})


def test_a_quote_is_text_in_an_unquoted_file_and_not_in_a_quoted_one(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", 'n,title\n1,"Babe"\n')
    assert read_rows(path, {"n": pl.Int64, "title": pl.String}, separator=",", header="n,title").rows() == [
        (1, '"Babe"')
    ]
    assert read_quoted(path, ["title", "n"]).rows() == [("Babe", "1")]


def test_lists_of_any_length(tmp_path: Path) -> None:
    path = write(tmp_path, "x.txt", "1 2\t3\n\n4 \n")
    with pytest.raises(DataError, match="line 2: expected a whole number, got ''"):
        read_lists(path)
    write(tmp_path, "x.txt", " 1 2\t3\n4 \n")
    assert read_lists(path).to_list() == [[1, 2, 3], [4]]
