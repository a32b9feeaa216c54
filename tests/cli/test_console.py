"""Output of a run."""

import logging

from icas.cli.console import Console, counted


class Steps:
    def __init__(self):
        self.taken = 0

    def update(self, steps):
        self.taken += steps


def test_log_messages_are_printed_while_shown(capsys):
    log = logging.getLogger("icas.clusterimg.kernels.numba_support")
    with Console(warnings=True).show_logging():
        log.info("compiling")
    log.info("not shown")
    assert capsys.readouterr().err == "compiling\n"
    assert not logging.getLogger("icas").handlers
    assert logging.getLogger("icas").level == logging.NOTSET


def test_a_quiet_console_prints_no_log_messages(capsys):
    with Console().show_logging():
        logging.getLogger("icas.anything").info("compiling")
    assert capsys.readouterr() == ("", "")


def test_counted_things_are_unchanged():
    bar = Steps()
    assert list(counted("abc", bar)) == ["a", "b", "c"]
    assert bar.taken == 3
