"""Run the command ``repmlp export``."""
import sys

from repmlp_lite.main import main

if __name__ == '__main__':
    sys.exit(main('export'))
