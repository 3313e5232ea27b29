"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # on a busy machine a deadline fails what is right
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the public data sets, or a skip that says how to have it."""
    folder = os.environ.get("TASTEMAKER_DATA")
    if not folder:
        pytest.skip("real data: set TASTEMAKER_DATA to the folder with the public data sets")
    return Path(folder).resolve()
