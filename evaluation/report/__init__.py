"""Self-contained HTML pages: one file with inline SVG, style and script, that loads nothing.

`page` is the shell, `charts` and `fragments` draw, `timeline` shows segments of videos; the other
modules are the sections of the report of an evaluation, which `evaluation_page` puts together.
docs/report.md explains the charts.
"""
