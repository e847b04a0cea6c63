#!/usr/bin/env bash
# TAda2D against its per-frame twin on mini-HACS, several seeds: the table of the README (benchmarks/mini_table.py).
set -eu
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/setup.sh"
cd "$root"
exec python -m benchmarks.mini_table "$@"
