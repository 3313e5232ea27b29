"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests never time: a busy machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the public data sets, or a skip that says how to have it."""
    folder = os.environ.get("TASTEMAKER_DATA")
    if not folder:
        pytest.skip("real data: set TASTEMAKER_DATA to the folder with the public data sets")
    return Path(folder).resolve()
