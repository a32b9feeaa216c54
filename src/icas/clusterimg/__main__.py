"""``python -m icas.clusterimg``."""

import sys

from icas.clusterimg.cli import main

if __name__ == "__main__":
    sys.exit(main())
