#!/usr/bin/env bash
# Run tools/train.py under slurm.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [arguments of train.py]" >&2
    exit 2
fi
LAUNCHERS=$(dirname "$0")/launchers
exec "$LAUNCHERS/srun.sh" train.py "$1" "$2" "${@:3}"
