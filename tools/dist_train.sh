#!/usr/bin/env bash
# Run tools/train.py in several processes.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG PROCESSES [arguments of train.py]" >&2
    exit 2
fi
LAUNCHERS=$(dirname "$0")/launchers
exec "$LAUNCHERS/torchrun.sh" train.py "$2" "$1" "${@:3}"
