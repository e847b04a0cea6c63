#!/usr/bin/env bash
# From raw video to average mAP, every stage in order. A finished stage is skipped, a cut-off one goes on.
#
#   bash scripts/run_hacs.sh                              the built-in mini-HACS, on a laptop
#   bash scripts/run_hacs.sh model=r2d_mini seed=1        the same with another model, another seed
#   bash scripts/run_hacs.sh configs/hacs.yaml            the real HACS Segments
#   bash scripts/run_hacs.sh configs/hacs.yaml --force    every stage anew
set -u
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
config="$root/configs/hacs_mini.yaml"
if [[ "${1:-}" = -h || "${1:-}" = --help ]]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit 0
fi
if [ $# -gt 0 ] && [[ "$1" != *=* && "$1" != -* ]]; then
    config="$(realpath "$1")"
    shift
fi
force=
if [ "${1:-}" = --force ]; then
    force=--force
    shift
fi
source "$root/scripts/setup.sh"
cd "$root" || exit 2

python -m video_datasets --config "$config" "$@" || exit $?

stages=(classification.finetune feature_extraction bmn proposals classification evaluation)
worst=0
for stage in "${stages[@]}"; do
    python -m "$stage" --config "$config" "$@" ${force:+"$force"}
    code=$?
    if [ "$code" -gt "$worst" ]; then worst=$code; fi
    if [ "$code" -ge 2 ]; then
        echo "run_hacs: stage $stage stopped with code $code" >&2
        break
    fi
done
exit "$worst"
