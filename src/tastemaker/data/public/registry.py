"""The public data sets that go by name: where they come from, what is in them, who reads them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tastemaker.data.dataset import Dataset
from tastemaker.data.public import coat, movielens, papers
from tastemaker.data.public.tables import Tables
from tastemaker.data.splits import Split
from tastemaker.errors import DataError

__all__ = ["SOURCES", "Download", "Source", "source"]


@dataclass(frozen=True)
class Download:
    """A file on the web, and the SHA-256 that it must have. A zip archive is unpacked."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.url.rsplit("/", 1)[-1]


def _no_folds(folder: Path, data: Dataset) -> dict[str, Split]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public data set.

    Attributes:
        name: what to call it.
        folder: its folder under ``TASTEMAKER_DATA`` or the cache.
        files: what must be in the folder for it to be whole.
        downloads: where those come from.
        interactions, users, items: how many there are; users and items without interactions count.
        feedback: ``ratings``, ``implicit`` or ``clicks``.
        about: what it is, and what to know before using it.
        terms: what its publisher allows.
        parse: from the folder to tables.
        folds: the published splits of the Dataset, by name.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    downloads: tuple[Download, ...]
    interactions: int
    users: int
    items: int
    feedback: str
    about: str
    terms: str
    parse: Callable[[Path], Tables]
    folds: Callable[[Path, Dataset], dict[str, Split]] = _no_folds


_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_GROUPLENS_TERMS = "research; no redistribution; see the README in the folder"
_NCF = "https://raw.githubusercontent.com/hexiangnan/neural_collaborative_filtering/master/Data"
_LIGHTGCN = "https://raw.githubusercontent.com/gusye1234/LightGCN-PyTorch/master/data/gowalla"
_SASREC = "https://raw.githubusercontent.com/kang205/SASRec/e3738967fddab206d6eeb4fda433e7a7034dd8b1/data"

_ML_1M = Download(
    f"{_GROUPLENS}/ml-1m.zip", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"
)

_ALL = (
    Source(
        name="ml-100k",
        folder="ml-100k",
        files=("u.data", "u.item", "u.user", "u.genre"),
        downloads=(
            Download(
                f"{_GROUPLENS}/ml-100k.zip",
                "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
            ),
        ),
        interactions=100_000,
        users=943,
        items=1_682,
        feedback="ratings",
        about="MovieLens 100K (1997–98): films with genres, users with age, gender and occupation; published folds",
        terms=_GROUPLENS_TERMS,
        parse=movielens.ml_100k,
        folds=movielens.ml_100k_folds,
    ),
    Source(
        name="ml-1m",
        folder="ml-1m",
        files=("ratings.dat", "movies.dat", "users.dat"),
        downloads=(_ML_1M,),
        interactions=1_000_209,
        users=6_040,
        items=3_883,
        feedback="ratings",
        about=(
            "MovieLens 1M (2000): films with genres, users with age bracket, gender and occupation. Most users rated all "
            "in one sitting, and copies exist whose times are only right within a user: part it by user, not by global time"
        ),
        terms=_GROUPLENS_TERMS,
        parse=movielens.ml_1m,
    ),
    Source(
        name="ml-1m-clicks",
        folder="ml-1m",
        files=("ratings.dat", "movies.dat", "users.dat"),
        downloads=(_ML_1M,),
        interactions=739_012,
        users=6_040,
        items=3_883,
        feedback="clicks",
        about="MovieLens 1M as click-through data: ratings of 4 and 5 count as clicks, 1 and 2 as none, 3 is left out; no times",
        terms=_GROUPLENS_TERMS,
        parse=movielens.ml_1m_clicks,
    ),
    Source(
        name="ml-latest-small",
        folder="ml-latest-small",
        files=("ratings.csv", "movies.csv"),
        downloads=(
            Download(
                f"{_GROUPLENS}/ml-latest-small.zip",
                "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
            ),
        ),
        interactions=100_836,
        users=610,
        items=9_742,
        feedback="ratings",
        about="MovieLens, small (1996–2018): half-star ratings of films with genres; its publisher may replace it",
        terms=_GROUPLENS_TERMS,
        parse=movielens.ml_latest_small,
    ),
    Source(
        name="gowalla",
        folder="lightgcn-gowalla",
        files=("train.txt", "test.txt"),
        downloads=(
            Download(
                f"{_LIGHTGCN}/train.txt", "0f086326b28a56c2e6dcb81d86ee72d4ccb7eed3a8d26788392356d8f51111cc"
            ),
            Download(
                f"{_LIGHTGCN}/test.txt", "099a2a73924e4b754dc6efd730d764f492321b53c38eb93298850c83acf57be3"
            ),
        ),
        interactions=1_027_370,
        users=29_858,
        items=40_981,
        feedback="implicit",
        about="Gowalla check-ins at places, as LightGCN selected and split them; no times, no features",
        terms="see https://snap.stanford.edu/data/loc-gowalla.html",
        parse=papers.gowalla,
        folds=papers.gowalla_folds,
    ),
    Source(
        name="ncf-ml-1m",
        folder="ncf-ml-1m",
        files=("ml-1m.train.rating", "ml-1m.test.rating", "ml-1m.test.negative"),
        downloads=(
            Download(
                f"{_NCF}/ml-1m.train.rating",
                "5b067c8fe88fd29db50efcf5161d1b14e2e7da85cf71ad5c1dc7f486c92b959a",
            ),
            Download(
                f"{_NCF}/ml-1m.test.rating",
                "231ae11eb060b643a8c58c063cd17ffc743b54f569afb073d1abb6cf126b88b5",
            ),
            Download(
                f"{_NCF}/ml-1m.test.negative",
                "127853228a76b7d21c0481e8ef8d00dd009cd5c88670dbdd9e9debfdb9f93de4",
            ),
        ),
        interactions=1_000_209,
        users=6_040,
        items=3_706,
        feedback="ratings",
        about="MovieLens 1M as the NCF paper split it: last item left out, 99 sampled negatives; its own ids, no features",
        terms=_GROUPLENS_TERMS,
        parse=papers.ncf_ml_1m,
        folds=papers.ncf_ml_1m_folds,
    ),
    Source(
        name="sasrec-ml-1m",
        folder="sasrec-ml-1m",
        files=("ml-1m.txt",),
        downloads=(
            Download(
                f"{_SASREC}/ml-1m.txt", "b725f3acb3986fe3130bffd1e77a74d182a1f51799567a236dbd60270f95b0a2"
            ),
        ),
        interactions=999_611,
        users=6_040,
        items=3_416,
        feedback="implicit",
        about="MovieLens 1M as SASRec ordered it in time (no times): last item for the test, the one before for validation",
        terms=_GROUPLENS_TERMS,
        parse=papers.sasrec_ml_1m,
        folds=papers.sasrec_ml_1m_folds,
    ),
    Source(
        name="coat",
        folder="coat",
        files=(
            "train.ascii",
            "test.ascii",
            "propensities.ascii",
            "user_item_features/user_features.ascii",
            "user_item_features/user_features_map.txt",
            "user_item_features/item_features.ascii",
            "user_item_features/item_features_map.txt",
        ),
        downloads=(
            Download(
                "https://www.cs.cornell.edu/~schnabts/mnar/coat.zip",
                "6073d0b515ed1f6e830e4fead66dc76ad7991a7553eaa58e228b234a9d19daed",
            ),
        ),
        interactions=6_960,
        users=290,
        items=300,
        feedback="ratings",
        about="Coats: ratings that people chose to give, with propensities; the published test part was shown at random",
        terms="research; see https://www.cs.cornell.edu/~schnabts/mnar/",
        parse=coat.coat,
        folds=coat.coat_folds,
    ),
)
SOURCES = {entry.name: entry for entry in _ALL}


def source(name: str) -> Source:
    """The data set of that name.

    Raises:
        DataError: if there is none; it lists those there are.
    """
    try:
        return SOURCES[name]
    except KeyError:
        raise DataError(f"no public data set is called {name!r}; there are: {', '.join(SOURCES)}") from None
