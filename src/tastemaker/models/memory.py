"""How much memory there is, for models that must hold a matrix of a known size."""

import os
from pathlib import Path

__all__ = ["available_memory"]

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that this process may still take without swapping; None where the system does not say.

    >>> available_memory() != 0
    True
    """
    limits = [n for n in (_system(), _group()) if n is not None]
    return min(limits) if limits else None


def _system() -> int | None:
    """What Linux calls available; elsewhere all the memory there is."""
    if _MEMINFO.exists():
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines() if ":" in line)
        if "MemAvailable" in fields:
            return int(fields["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _group() -> int | None:
    """What the limit of a container leaves (cgroup 2), if there is one."""
    most, used = (_GROUP / "memory.max", _GROUP / "memory.current")
    if not (most.exists() and used.exists()):
        return None
    limit = most.read_text().strip()
    return None if limit == "max" else max(0, int(limit) - int(used.read_text()))
