"""What is kept: events, decisions, items, users and keys, in SQLite or PostgreSQL."""

from tastemaker.errors import StoreError, StoreUnavailable
from tastemaker.service.store.catalogue import Change, Item, RejectedRows, User
from tastemaker.service.store.decisions import Decision, Slot
from tastemaker.service.store.erasure import Erased
from tastemaker.service.store.events import KINDS, Event, Interaction, Posted
from tastemaker.service.store.keys import BROWSER, SCOPES, Key, Keys
from tastemaker.service.store.store import Store
from tastemaker.service.store.training import WEIGHTS

__all__ = [
    "BROWSER",
    "KINDS",
    "SCOPES",
    "WEIGHTS",
    "Change",
    "Decision",
    "Erased",
    "Event",
    "Interaction",
    "Item",
    "Key",
    "Keys",
    "Posted",
    "RejectedRows",
    "Slot",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "User",
]
