#!/usr/bin/env bash
# Lint, types and tests, with the reasons of skipped ones. Words after it go to pytest:  bash scripts/test.sh tests/bmn -k labels
set -eu
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/setup.sh"
cd "$root"
ruff check .
ruff format --check .
mypy
python -m pytest -rfEs "$@"
