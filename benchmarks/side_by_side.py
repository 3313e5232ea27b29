"""Jobs of several libraries on the same data, each in a process of its own, in turn; and tables of what they did."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
THREADS = 2
TOO_LONG = 120.0  # seconds of one run; what takes longer is not run again
GIVE_UP = 3600  # seconds until a run is given up
PEERS = {  # the variable that names the environment, and where it is otherwise
    "implicit": ("TASTEMAKER_PEERS", ".venv-peers"),
    "irspack": ("TASTEMAKER_PEERS_IRSPACK", ".venv-peers-irspack"),
    "lenskit": ("TASTEMAKER_PEERS_LENSKIT", ".venv-peers-lenskit"),
    "cornac": ("TASTEMAKER_PEERS_LENSKIT", ".venv-peers-lenskit"),
    "recbole": ("TASTEMAKER_PEERS_RECBOLE", ".venv-peers-recbole"),
    "rectools": ("TASTEMAKER_PEERS_RECTOOLS", ".venv-peers-rectools"),
    "deepctr": ("TASTEMAKER_PEERS_DEEPCTR", ".venv-peers-deepctr"),
}


def python_of(library: str) -> str:
    """The Python that has the library."""
    if library == "tastemaker":
        return sys.executable
    variable, folder = PEERS[library]
    python = Path(os.environ.get(variable, folder)) / "bin" / "python"
    if not python.exists():
        sys.exit(
            f"{python} is missing; make peers makes it, or {variable} names another environment that has {library}"
        )
    return str(python)


@dataclass
class Job:
    """One thing to time: ``{"job": name in peers_LIBRARY.py, ...}``."""

    library: str
    label: str
    task: dict[str, Any]
    script: str = ""  # beside this file; peers_LIBRARY.py by default
    reports: list[dict[str, Any]] = field(default_factory=list)

    @property
    def laps(self) -> list[float]:
        """Seconds of each run: the median of its laps, which are epochs if the job has any."""
        return [median(report["laps"]) for report in self.reports]

    @property
    def seconds(self) -> float:
        return median(self.laps)

    @property
    def whole(self) -> float:
        """Seconds of all laps together, with what comes before the first and what the last one adds."""
        return float(median(sum(report["laps"]) for report in self.reports))

    @property
    def peak(self) -> float:
        """Most memory in MB, the data among it."""
        return float(median(report["peak"] for report in self.reports))

    @property
    def first(self) -> dict[str, Any]:
        """The first run's report: the one whose outcome is judged, since every run of a job has the same seed."""
        return self.reports[0]

    @property
    def name(self) -> str:
        return f"{self.library}, {self.label}" if self.label else self.library

    def figures(self) -> list[str]:
        """Median, least and most seconds, how many runs, and memory, for a row of a table."""
        spread = f"{min(self.laps):.3f} to {max(self.laps):.3f}"
        return [f"{self.seconds:.3f}", spread, str(len(self.laps)), f"{self.peak:,.0f}"]


FIGURES = ["s", "least to most", "runs", "peak MB"]


class Bench:
    """The data, which lie in a folder, and how jobs are run on them."""

    def __init__(self, folder: Path, rounds: int, threads: int = THREADS) -> None:
        self.folder, self.rounds, self.threads = folder, rounds, threads
        self.data = folder / "pairs.npz"
        self.versions: dict[str, str] = {}

    def run(self, job: Job, judge: bool = False) -> None:
        """Run a job once, with the same threads for every library, and none of BLAS beside them."""
        task = {"data": str(self.data), "threads": self.threads, "judge": judge, **job.task}
        done = subprocess.run(
            [python_of(job.library), HERE / (job.script or f"peers_{job.library}.py"), json.dumps(task)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=GIVE_UP,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(self.threads)},
        )
        report = json.loads(done.stdout.splitlines()[-1])
        job.reports.append(report)
        self.versions[job.library] = f"{report['version']} (NumPy {report['numpy']})"
        if report.get("laps"):
            print(f"  {job.name}: {median(report['laps']):.3f} s", file=sys.stderr, flush=True)

    def run_all(self, jobs: Sequence[Job]) -> None:
        """All jobs in turn, several rounds, so that whatever else the machine does meets all; each round begins elsewhere."""
        for turn in range(self.rounds):
            at = turn * len(jobs) // self.rounds
            for job in [*jobs[at:], *jobs[:at]]:
                if not job.reports or sum(job.first["laps"]) <= TOO_LONG:
                    self.run(job, judge=not job.reports)


@dataclass
class Section:
    """A part of the page: tables, remarks, pictures, and whether the targets are met."""

    title: str
    lines: list[str] = field(default_factory=list)
    met: bool = True
    pictures: dict[str, Any] = field(default_factory=dict)  # charts, by the name of the file beside the page

    def begin(self, text: str) -> "Section":
        """Put a paragraph before all others."""
        self.lines[:0] = [text, ""]
        return self

    def say(self, text: str) -> None:
        self.lines += [text, ""]

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A Markdown table, padded to be read as text, too; the first column is words, the others are figures."""
        cells = [list(columns), *map(list, rows)]
        widths = [max(len(row[n]) for row in cells) for n in range(len(columns))]

        def line(row: Sequence[str]) -> str:
            first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            return "| " + " | ".join([row[0].ljust(len(first)), *rest]) + " |"

        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        self.lines += [line(cells[0]), line(rule), *map(line, cells[1:]), ""]

    def picture(self, file: str, chart: Any, what: str) -> None:
        """Show a chart of Altair, which is drawn when the page is written."""
        self.pictures[file] = chart
        self.say(f"![{what}]({file})")

    def target(self, what: str, figure: float, least: float, as_good: bool = True, quality: str = "") -> None:
        """Judge a ratio: at least ``least``, with an outcome as good as the peer's."""
        met = as_good and figure >= least
        self.met &= met
        verdict = "met" if met else "MISSED"
        self.lines.append(
            f"- {what}: **{figure:.2f} times** as fast, target {least:g}{'; ' + quality if quality else ''}: {verdict}."
        )

    def ratio(self, what: str, figure: float, quality: str = "", as_good: bool = True) -> None:
        """State a ratio that has no target; the outcome must be as good as the peer's all the same."""
        self.met &= as_good
        remark = f"; {quality}" if quality else ""
        self.lines.append(
            f"- {what}: **{figure:.2f} times** as fast{remark}{'' if as_good else ': DIFFERENT'}."
        )

    def limit(self, what: str, figure: float, most: float, unit: str) -> None:
        """Judge a figure that must not be above ``most``."""
        met = figure <= most
        self.met &= met
        self.lines.append(
            f"- {what}: **{figure:,.4g} {unit}**, at most {most:,g}: {'met' if met else 'MISSED'}."
        )

    def markdown(self) -> str:
        return "\n".join([f"## {self.title}", "", *self.lines]).rstrip() + "\n"
