#!/usr/bin/env bash
# Run tools/test.py under slurm.
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]" >&2
    exit 2
fi
LAUNCHERS=$(dirname "$0")/launchers
exec "$LAUNCHERS/srun.sh" test.py "$1" "$2" "${@:3}"
