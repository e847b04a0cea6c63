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
default_config=configs/hacs_mini.yaml
source "$(dirname "${BASH_SOURCE[0]}")/run_stages.sh"
