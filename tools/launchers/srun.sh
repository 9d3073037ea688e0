#!/usr/bin/env bash
# srun.sh TOOL PARTITION JOB_NAME ARGUMENTS...: run a tool under slurm (GPUS,
# GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS).
set -euo pipefail

TOOL=$1
PARTITION=$2
JOB_NAME=$3
shift 3

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# SRUN_ARGS holds several words.
# shellcheck disable=SC2086
PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" exec srun \
    --partition="$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres="gpu:${GPUS_PER_NODE:-8}" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="${GPUS_PER_NODE:-8}" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$ROOT/tools/$TOOL" "$@" --launcher slurm
