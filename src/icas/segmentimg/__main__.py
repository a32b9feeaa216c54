"""``python -m icas.segmentimg``."""

import sys

from icas.segmentimg.cli import main

if __name__ == "__main__":
    sys.exit(main())
