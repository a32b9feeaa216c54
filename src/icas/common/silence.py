"""Pillow's warnings and log lines, kept off stderr."""

from __future__ import annotations

import logging
import threading
import warnings
from typing import Any, cast


class Silence:
    """Pillow's warnings and log lines are kept off stderr while any thread is inside.

    ``warnings.catch_warnings`` saves and restores the filters of the whole process, so two threads
    in it undo each other's; here the first to come adds one filter and the last to go removes it.
    Who reads many pictures enters once around all of them: to enter again costs next to nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._handler = logging.NullHandler()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._filter = warnings.filters[0]
                logging.getLogger("PIL").addHandler(self._handler)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                logging.getLogger("PIL").removeHandler(self._handler)
                if self._filter in warnings.filters:
                    cast("list[Any]", warnings.filters).remove(self._filter)


PILLOW_IS_QUIET = Silence()
