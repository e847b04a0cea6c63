"""Progress bars that are silent when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(
    items: Iterable[Any] | None = None,
    *,
    description: str,
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
) -> tqdm:
    """Return a tqdm bar on stderr, disabled when stderr is not a terminal.

    `initial` of the total were done before, so that the rate is that of now.
    """
    hidden = not sys.stderr.isatty()
    return tqdm(items, desc=description, total=total, initial=initial, unit=unit, leave=False, disable=hidden)
