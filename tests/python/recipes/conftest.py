import os
from pathlib import Path

import pytest


@pytest.fixture
def data_folder() -> Path:
    """A local copy of the data sets, see docs/training.md."""
    folder = os.environ.get("PORTFIRE_DATA", "")
    if not folder:
        pytest.skip("PORTFIRE_DATA names no folder of data sets")
    return Path(folder)
