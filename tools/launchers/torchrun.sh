#!/usr/bin/env bash
# torchrun.sh TOOL PROCESSES ARGUMENTS...: run a tool in several processes on
# one machine, at a free port unless PORT or MASTER_PORT names one; or on one
# of several machines (NNODES, NODE_RANK, MASTER_ADDR, PORT).
set -euo pipefail

TOOL=$1
PROCESSES=$2
shift 2

PORT=${PORT:-${MASTER_PORT:-}}
MEETING=(--standalone --local_addr=127.0.0.1)
if [ "${NNODES:-1}" != 1 ] || [ -n "$PORT" ]; then
    MEETING=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}"
        --master_port="${PORT:-29500}")
fi

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" \
    "$ROOT/tools/launchers/torchrun.py" "${MEETING[@]}" \
    --nproc_per_node="$PROCESSES" \
    "$ROOT/tools/$TOOL" "$@" --launcher pytorch
