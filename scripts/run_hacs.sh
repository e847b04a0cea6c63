#!/usr/bin/env bash
# From raw video to average mAP, every stage in order. A finished stage is skipped, a cut-off one goes on.
#
#   bash scripts/run_hacs.sh                              the built-in mini-HACS, on a laptop
#   bash scripts/run_hacs.sh model=r2d_mini seed=1        the same with another model, another seed
#   bash scripts/run_hacs.sh configs/hacs.yaml            the real HACS Segments
#   bash scripts/run_hacs.sh configs/hacs.yaml --force    every stage anew
#
# Relative paths in key=value words and in the config count from the project's folder.
set -eu
case "${1:-}" in -h | --help) sed -n '2,/^set/{/^set/d;s/^#//;s/^ //;p;}' "$0" && exit 0 ;; esac
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
case "${1:-}" in '' | *=* | -*) set -- "$root/configs/hacs_mini.yaml" "$@" ;; esac
if [ -f "$1" ]; then set -- "$(realpath "$1")" "${@:2}"; fi
source "$root/scripts/setup.sh"
cd "$root"
exec python -m pipeline.run "$@"
