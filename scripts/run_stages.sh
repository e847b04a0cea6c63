# Sourced by run_hacs.sh and run_ek100.sh, which set default_config: all stages in order, each a command of its own, then the report.
# A finished stage is skipped, a cut-off one goes on; code 1 (skipped items) does not stop, 2 or more does.
script="$(basename "$0" .sh)"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
config="$root/$default_config"
force=
words=()
for word in "$@"; do
    case "$word" in
        -h | --help)
            sed -n '2,/^set/{/^set/d;s/^#//;s/^ //;p;}' "$0"
            exit 0
            ;;
        --force) force=--force ;;
        -*)
            echo "$script: unknown option $word; try --help" >&2
            exit 2
            ;;
        *=*) words+=("$word") ;;
        *)
            if [ ! -f "$word" ]; then
                echo "$script: configuration file not found: $word; the shipped ones are in configs/" >&2
                exit 2
            fi
            config="$(cd "$(dirname "$word")" && pwd)/$(basename "$word")"
            ;;
    esac
done
source "$root/scripts/setup.sh"
cd "$root" || exit 2

python -m video_datasets --config "$config" ${words[@]+"${words[@]}"} || exit

# Imported features with imported class scores need no finetuned model. What the classification would refuse after hours, the
# supervision levels, is refused here.
plan="$(python - "$config" ${words[@]+"${words[@]}"} <<'PYTHON'
import sys
from classification.__main__ import stage_spec
from proposals.heads import head_of
from runtime.config import load_config
from runtime.exit_codes import guarded

def plan():
    config = load_config(sys.argv[1], sys.argv[2:])
    stage_spec(config)
    finetunes = config.features.store is None or config.classification.source != "scores"
    head = head_of(config).command
    print("classification.finetune " * finetunes + f"feature_extraction {head} proposals classification evaluation")
    print(config.run_dir)
    return 0

sys.exit(guarded(plan))
PYTHON
)" || exit
{
    read -r stages
    read -r run_dir
} <<<"$plan"

worst=0
for stage in $stages; do
    python -m "$stage" --config "$config" ${words[@]+"${words[@]}"} $force
    code=$?
    if [ "$code" -gt "$worst" ]; then worst=$code; fi
    if [ "$code" -ge 2 ]; then
        echo "$script: stage $stage stopped with code $code" >&2
        break
    fi
done
if [ "$worst" -lt 2 ]; then
    python -m pipeline.report --run "$run_dir"
    code=$?
    if [ "$code" -gt "$worst" ]; then worst=$code; fi
fi
exit "$worst"
