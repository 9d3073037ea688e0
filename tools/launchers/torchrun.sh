#!/usr/bin/env bash
# torchrun.sh TOOL PROCESSES ARGUMENTS...: run a tool in several processes on
# one machine, or on one of several (NNODES, NODE_RANK, MASTER_ADDR, PORT).
set -euo pipefail

TOOL=$1
PROCESSES=$2
shift 2

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" \
    -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$PROCESSES" \
    "$ROOT/tools/$TOOL" "$@" --launcher pytorch
