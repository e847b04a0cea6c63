"""Letters that matplotlib's own font lacks, such as Chinese, Japanese and Korean ones."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

FAMILIES = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Source Han Sans", "Unifont"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "AR PL UMing CN", "IPAexGothic"),
    *("IPAGothic", "TakaoGothic", "VL Gothic", "NanumGothic", "SimHei", "Microsoft YaHei", "Yu Gothic"),
    *("Malgun Gothic", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS"),
)
"""Fonts of Linux, Windows and macOS that have them."""


@contextmanager
def any_letters() -> Iterator[None]:
    """Draw text with the installed fonts that have further letters.

    Where none has a letter, it becomes a box, and one line says so instead of a warning for every
    letter.
    """
    import matplotlib

    with (
        matplotlib.rc_context({"font.family": [*matplotlib.rcParams["font.family"], *_installed()]}),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if "missing from font" in str(warning.message):
            _say_once()
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@functools.cache
def _installed() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    names = set(fontManager.get_font_names())
    return tuple(name for name in FAMILIES if name in names)


@functools.cache
def _say_once() -> None:
    print(
        "pictures: some letters of labels or names are drawn as boxes; install a font that has them, such as Noto "
        "Sans CJK, for pictures (tables and pages are right)",
        file=sys.stderr,
    )
