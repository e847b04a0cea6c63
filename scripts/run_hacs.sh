#!/usr/bin/env bash
# From raw video to average mAP, every stage in order. A finished stage is skipped, a cut-off one goes on.
#
#   bash scripts/run_hacs.sh                              the built-in mini-HACS, on a laptop
#   bash scripts/run_hacs.sh model=r2d_mini seed=1        the same with another model, another seed
#   bash scripts/run_hacs.sh configs/hacs.yaml            the real HACS Segments
#   bash scripts/run_hacs.sh configs/hacs.yaml --force    every stage anew
#
# Relative paths in key=value words and in the config count from the project's folder.
set -u
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
config="$root/configs/hacs_mini.yaml"
force=
words=()
for word in "$@"; do
    case "$word" in
        -h | --help)
            sed -n '2,/^set/{/^set/d;s/^#//;s/^ //;p;}' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        --force) force=--force ;;
        -*)
            echo "run_hacs: unknown option $word; try --help" >&2
            exit 2
            ;;
        *=*) words+=("$word") ;;
        *)
            if [ ! -f "$word" ]; then
                echo "run_hacs: configuration file not found: $word; the shipped ones are in configs/" >&2
                exit 2
            fi
            config="$(cd "$(dirname "$word")" && pwd)/$(basename "$word")"
            ;;
    esac
done
source "$root/scripts/setup.sh"
cd "$root" || exit 2

python -m video_datasets --config "$config" ${words[@]+"${words[@]}"} || exit

worst=0
for stage in classification.finetune feature_extraction bmn proposals classification evaluation; do
    python -m "$stage" --config "$config" ${words[@]+"${words[@]}"} $force
    code=$?
    if [ "$code" -gt "$worst" ]; then worst=$code; fi
    if [ "$code" -ge 2 ]; then
        echo "run_hacs: stage $stage stopped with code $code" >&2
        break
    fi
done
exit "$worst"
