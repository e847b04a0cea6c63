"""Entry of `python -m classification.pretrain`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipeline.stages import stage_main


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return stage_main("pretrain", argv)


if __name__ == "__main__":
    sys.exit(main())
