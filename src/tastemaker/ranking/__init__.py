"""From scores to a list: filter, top k, re-rank, and say why a list is short. Knows no model."""
