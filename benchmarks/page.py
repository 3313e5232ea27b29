"""docs/benchmarks.md: what the benchmarks write, section by section."""

from collections.abc import Iterable
from datetime import date

import numpy as np

from ratings import machine
from side_by_side import HERE, THREADS, Bench, Section
from tastemaker import _native

PAGE = HERE.parent / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

Written by `make bench BENCH=implicit_feedback ARGS=--write`, and with `memory`, `update`, `policy`, `serve` and `accuracy`
for `BENCH`.
[benchmarks/README.md](../benchmarks/README.md) says what is measured and how. Compare the ratios, not the seconds.
"""


def circumstances(bench: Bench) -> str:
    """What was measured, where and with what; one paragraph."""
    with np.load(bench.data) as data:
        (users, items), pairs = data["shape"], len(data["indices"])
    versions = ", ".join(f"{library} {version}" for library, version in sorted(bench.versions.items()))
    return (
        f"{users:,} users, {items:,} items, {pairs:,} pairs (`synthetic.py`, seed 0); {THREADS} threads, our kernels "
        f"{_native.isa()}; {versions}; {machine()}; {date.today():%d %B %Y}."
    )


def publish(sections: Iterable[Section], into_page: bool) -> bool:
    """Print each section when it is done, then write all into the page if wanted; whether their targets are met."""
    done = []
    for section in sections:
        print(section.markdown(), flush=True)
        done.append(section)
    if into_page:
        write(done)
    return all(section.met for section in done)


def write(sections: list[Section]) -> None:
    """Put the sections into the page, in the place of those with the same titles; others stay."""
    parts = PAGE.read_text().split("\n## ")[1:] if PAGE.exists() else []
    page = {part.splitlines()[0]: f"## {part.rstrip()}\n" for part in parts}
    page |= {section.title: section.markdown() for section in sections}
    PAGE.write_text("\n".join([INTRODUCTION, *page.values()]))
    for section in sections:
        for file, chart in section.pictures.items():
            chart.save(str(PAGE.parent / file))
