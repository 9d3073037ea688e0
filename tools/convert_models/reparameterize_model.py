"""Run the command ``repmlp reparameterize``."""
import sys

from repmlp_lite.main import main

if __name__ == '__main__':
    sys.exit(main('reparameterize'))
