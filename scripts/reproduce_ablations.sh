#!/usr/bin/env bash
# The paper's ablations on mini-HACS, printed beside the paper's columns (benchmarks/ablations, docs/ablations.md).
set -eu
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/setup.sh"
cd "$root"
exec python -m benchmarks.ablations "$@"
