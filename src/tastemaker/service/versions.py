"""The saved versions of the models, as the pages and the API list them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastemaker.models import bundle

__all__ = ["Version", "versions"]


@dataclass(frozen=True)
class Version:
    """One saved version: its name, the models in it, when it was saved, and whether it serves."""

    name: str
    models: Sequence[str]
    saved: str
    serving: bool


def versions(folder: Path, serving: str) -> list[Version]:
    """The versions in a folder, newest first; of one that cannot be read no models are named."""
    return [_described(folder / name, name == serving) for name in reversed(bundle.versions(folder))]


def _described(folder: Path, serving: bool) -> Version:
    saved = datetime.fromtimestamp(folder.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
    try:
        models = [str(name) for name in json.loads((folder / "bundle.json").read_text())["models"]]
    except (OSError, ValueError, KeyError, TypeError):
        models = []
    return Version(folder.name, models, saved, serving)
