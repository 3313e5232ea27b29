"""What chooses a list in front of people: candidates → filters → ranking → diversity → exploration, with known propensities."""

from tastemaker.policy.candidates import Request
from tastemaker.policy.choice import Choice
from tastemaker.policy.exploration import EpsilonGreedy, Exploration, Greedy, Softmax
from tastemaker.policy.live import LiveCatalogue, Observed
from tastemaker.policy.policy import Policy
from tastemaker.policy.replay import Record, record, replay
from tastemaker.policy.shelf import Shelf
from tastemaker.policy.stock import NewItem

__all__ = [
    "Choice",
    "EpsilonGreedy",
    "Exploration",
    "Greedy",
    "LiveCatalogue",
    "NewItem",
    "Observed",
    "Policy",
    "Record",
    "Request",
    "Shelf",
    "Softmax",
    "record",
    "replay",
]
