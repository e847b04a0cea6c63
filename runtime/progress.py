"""Progress bars that are silent when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(
    items: Iterable[Any] | None = None, *, description: str, total: int | None = None, unit: str = "it"
) -> tqdm:
    """Return a tqdm bar on stderr, disabled when stderr is not a terminal."""
    return tqdm(items, desc=description, total=total, unit=unit, leave=False, disable=not sys.stderr.isatty())
