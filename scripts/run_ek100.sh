#!/usr/bin/env bash
# EPIC-KITCHENS-100 from raw video to mAP of verbs, nouns and actions, every stage in order. A finished stage is
# skipped, a cut-off one goes on.
#
#   bash scripts/run_ek100.sh                                   the built-in mini-EK100, on a laptop
#   bash scripts/run_ek100.sh model=r2d_mini seed=1             the same with another model, another seed
#   bash scripts/run_ek100.sh model=r2d_mini --force            every stage anew
#
#   bash scripts/run_ek100.sh configs/ek100.yaml data.root=DIR \
#       classification.sls_pt=2 classification.sls_tl=3 classification.sls_td=3
#                                                               the real EPIC-KITCHENS-100
#   bash scripts/run_ek100.sh configs/ek100.yaml data.root=DIR features.store=FILE.h5 \
#       grid.convention=centred_on_last grid.spacing=linspace \
#       classification.source=scores classification.class_scores=DIR \
#       classification.sls_pt=2 classification.sls_tl=3 classification.sls_td=3
#                                                               released features and class scores: no finetuning
#
# A submission declares its supervision levels (sls_...); set yours, what they mean is in docs/configuration.md.
# Relative paths in key=value words and in the config count from the project's folder. More: docs/ek100.md.
set -eu
case "${1:-}" in -h | --help) sed -n '2,/^set/{/^set/d;s/^#//;s/^ //;p;}' "$0" && exit 0 ;; esac
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
case "${1:-}" in '' | *=* | -*) set -- "$root/configs/ek100_mini.yaml" "$@" ;; esac
if [ -f "$1" ]; then set -- "$(realpath "$1")" "${@:2}"; fi
source "$root/scripts/setup.sh"
cd "$root"
exec python -m pipeline.run "$@"
