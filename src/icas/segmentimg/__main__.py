"""``python -m icas.segmentimg``."""

from __future__ import annotations

import sys

from icas.segmentimg.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
