#!/usr/bin/env bash
# Run tools/test.py in several processes.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT PROCESSES [arguments of test.py]" >&2
    exit 2
fi
LAUNCHERS=$(dirname "$0")/launchers
exec "$LAUNCHERS/torchrun.sh" test.py "$3" "$1" "$2" "${@:4}"
