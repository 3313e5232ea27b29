"""A generated world: people, titles, and who watches what, with the true preferences known."""

from tastemaker.data.world.world import World, world

__all__ = ["World", "world"]
