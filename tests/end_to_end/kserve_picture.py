"""What KServe's client asks about, for both environments."""

from __future__ import annotations

import numpy as np


def picture(count: int) -> np.ndarray:
    return (np.arange(count * 64, dtype=np.float32).reshape(count, 1, 8, 8) % 17) / 16
