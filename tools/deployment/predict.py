"""Run the command ``repmlp predict``."""
import sys
from pathlib import Path

# This clone, installed or not; else the package that is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from repmlp_lite.main import main

if __name__ == '__main__':
    sys.exit(main('predict'))
