"""Accuracy on splits that others have published figures for, with settings that validation data alone have chosen.

    TASTEMAKER_DATA=... make bench BENCH=accuracy ARGS="gowalla --tune --write"

Tasks are chosen by name, all by default, and models within them by --models. Without --tune the settings are those that are
written down beside each task, which --tune has found; --tune searches again, by the same seed. Either way the test part is looked
at once, at the end. --write puts the tables into docs/benchmarks.md. Exit code 1: a target is missed.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

import accuracy_clicks
import accuracy_cold
import accuracy_lists
import accuracy_ratings
import accuracy_sequences
from accuracy_gowalla import GOWALLA
from accuracy_ncf import NCF
from page import publish
from side_by_side import Section

TASKS: dict[str, Callable[[list[str], bool], Section]] = {
    "gowalla": partial(accuracy_lists.run, GOWALLA),
    "ncf": partial(accuracy_lists.run, NCF),
    "clicks": accuracy_clicks.run,
    "cold": accuracy_cold.run,
    "ratings": accuracy_ratings.run,
    "sequences": accuracy_sequences.run,
}


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="task", help=f"of {', '.join(TASKS)}; all by default")
    parser.add_argument(
        "--models", nargs="+", default=[], metavar="label", help="of the tables; all by default"
    )
    parser.add_argument("--tune", action="store_true", help="search for the settings again")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    args = parser.parse_args()
    if unknown := set(args.tasks) - set(TASKS):
        parser.error(f"no task {', '.join(sorted(unknown))}; there are {', '.join(TASKS)}")
    if args.models and args.write:
        parser.error("--write puts whole tables into the page, so it goes without --models")
    return publish((TASKS[name](args.models, args.tune) for name in args.tasks or TASKS), args.write)


if __name__ == "__main__":
    sys.exit(not main())
