"""What a run says, and when."""

import logging

from icas.cli.console import Console, counted


class Steps:
    def __init__(self):
        self.taken = 0

    def update(self, steps):
        self.taken += steps


def test_log_lines_are_told_while_a_console_listens(capsys):
    log = logging.getLogger("icas.clusterimg.kernels.numba_support")
    with Console(warnings=True).listening():
        log.info("compiling")
    log.info("nobody hears this")
    assert capsys.readouterr().err == "compiling\n"
    assert not logging.getLogger("icas").handlers
    assert logging.getLogger("icas").level == logging.NOTSET


def test_a_quiet_console_tells_no_log_lines(capsys):
    with Console().listening():
        logging.getLogger("icas.anything").info("compiling")
    assert capsys.readouterr() == ("", "")


def test_things_that_are_counted_come_through_as_they_are():
    bar = Steps()
    assert list(counted("abc", bar)) == ["a", "b", "c"]
    assert bar.taken == 3
