"""Content-based filtering: items like the ones that the user liked, by what is known about the items."""

from tastemaker.models.content.model import ContentBased

__all__ = ["ContentBased"]
