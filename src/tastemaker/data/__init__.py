"""Tables in, Dataset out: ids, schema, splits, quality of interaction, public datasets, generated worlds."""

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset, Schema
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.data.vocabulary import Vocabulary

__all__ = ["Catalogue", "Dataset", "History", "Queries", "Schema", "Vocabulary"]
