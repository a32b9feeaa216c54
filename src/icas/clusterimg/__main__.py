"""``python -m icas.clusterimg``."""

from __future__ import annotations

import sys

from icas.clusterimg.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
