"""The files of public data sets, small ones, written on the spot."""

from pathlib import Path

import pytest

from data.public_files import GENRES, write
from tastemaker.data.public import papers


@pytest.fixture
def ml_100k(tmp_path: Path) -> Path:
    write(tmp_path, "u.genre", "".join(f"{g}|{i}\n" for i, g in enumerate(GENRES)) + "\n")
    write(
        tmp_path,
        "u.item",
        "1|Toy Story (1995)|01-Jan-1995||http://imdb/?Toy%20Story|0|0|0|1|1|1\n"
        "2|Misérables, Les (1995) |01-Jan-1996|||0|0|0|0|0|0\n"
        "3|unknown||||1|0|0|0|0|0\n",
        "latin-1",
    )
    write(tmp_path, "u.user", "7|24|M|technician|85711\n8|53|F|other|T8H1N\n")
    write(tmp_path, "u.data", "7\t1\t5\t100\n8\t1\t3\t90\n7\t3\t1\t95\n8\t2\t2\t110\n")
    write(tmp_path, "u1.base", "7\t1\t5\t100\n7\t3\t1\t95\n")
    write(tmp_path, "u1.test", "8\t2\t2\t110\n8\t1\t3\t90\n")
    return tmp_path


@pytest.fixture
def ml_1m(tmp_path: Path) -> Path:
    write(tmp_path, "ratings.dat", "1::10::5::978300760\n2::10::1::978302109\n1::30::3::978301968\n")
    write(tmp_path, "users.dat", "1::F::1::10::48067\n2::M::56::16::70072-1234\n")
    write(
        tmp_path,
        "movies.dat",
        "10::Toy Story: The Film (1995)::Animation|Children's|Comedy\n20::Café | Bar (1968-1970)::Drama\n30::M (1931)::Crime\n",
        "latin-1",
    )
    return tmp_path


@pytest.fixture
def gowalla(tmp_path: Path) -> Path:
    write(tmp_path, "train.txt", "0 1 2 3\n1 2 \n5\n")
    write(tmp_path, "test.txt", "0 4\n1 1 3\n5 0")
    return tmp_path


@pytest.fixture
def ncf(tmp_path: Path) -> Path:
    n = 2 + papers._NEGATIVES
    train = [(user, item, 4, 10 + item) for user in (0, 1) for item in range(user + 1, n)]
    write(tmp_path, "ml-1m.train.rating", "".join("\t".join(map(str, row)) + "\n" for row in train))
    write(tmp_path, "ml-1m.test.rating", "0\t0\t5\t999\n1\t1\t2\t999\n")
    negatives = [f"({u},{u})\t" + "\t".join(str(i) for i in range(2, n)) + "\n" for u in (0, 1)]
    write(tmp_path, "ml-1m.test.negative", "".join(negatives))
    return tmp_path


@pytest.fixture
def coat_folder(tmp_path: Path) -> Path:
    def matrix(
        name: str, cells: dict[tuple[int, int], object], shape: tuple[int, int], blank: str = "0"
    ) -> None:
        rows = [" ".join(str(cells.get((r, c), blank)) for c in range(shape[1])) for r in range(shape[0])]
        write(tmp_path, name, " \r\n".join(rows))

    matrix("train.ascii", {(0, 1): 5, (289, 299): 2}, (290, 300))
    matrix("test.ascii", {(0, 1): 4, (3, 0): 1}, (290, 300))
    matrix("propensities.ascii", {(0, 1): "2.5e-01", (289, 299): ".125"}, (290, 300), blank="1e-2")
    ages = {(u, u % 2): 1 for u in range(290)} | {(u, 2): 1 for u in range(290)}
    matrix("user_item_features/user_features.ascii", ages, (290, 4))
    write(
        tmp_path,
        "user_item_features/user_features_map.txt",
        "age:20-30\nage:over 60\nlocation:urban\nlocation:rural",
    )
    matrix("user_item_features/item_features.ascii", {(i, i % 3): 1 for i in range(300)}, (300, 3))
    write(tmp_path, "user_item_features/item_features_map.txt", "color:red\ncolor:blue\ncolor:olive\n")
    return tmp_path
