"""The review in Firefox, over WebDriver BiDi: it opens, shows images, takes keys."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("/usr/bin/firefox-esr", "/usr/bin/firefox")
SECONDS = 60


class Firefox:
    """A headless Firefox with one tab."""

    def __init__(self, program: str, profile: Path) -> None:
        client = pytest.importorskip(
            "websockets.sync.client", reason="no websockets: pip install websockets"
        )
        flags = ["--headless", "--no-remote", "--remote-debugging-port", "0"]
        self.log = profile / "stderr.txt"
        environment = {**os.environ, "HOME": str(profile), "MOZ_DISABLE_CONTENT_SANDBOX": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, *flags, "--profile", str(profile), "about:blank"],
                stderr=log,
                stdout=log,
                env=environment,
            )
        try:
            address = f"{self._address()}/session"
            self.opened = ExitStack()
            self.socket = self.opened.enter_context(client.connect(address, max_size=None))
        except BaseException:
            self.process.kill()
            raise
        self.number = 0
        self.call("session.new", capabilities={})
        self.tab = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def _address(self) -> str:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            found = re.search(r"BiDi listening on (ws://\S+)", self.log.read_text(errors="replace"))
            if found:
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        pytest.skip(f"Firefox did not start: {self.log.read_text(errors='replace')[-200:]}")

    def call(self, method: str, **params: Any) -> Any:
        """Send one command; its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(SECONDS))
            if answer.get("id") == self.number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def open(self, url: str) -> None:
        """Open an address."""
        self.call("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def value(self, expression: str) -> Any:
        """The value of an expression: text, a number or a truth value."""
        answer = self.call(
            "script.evaluate",
            expression=expression,
            target={"context": self.tab},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, expression
            time.sleep(0.05)

    def press(self, *keys: str) -> None:
        """Press keys one after another."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": strokes}
        self.call("input.performActions", context=self.tab, actions=[source])

    def close(self) -> None:
        """End the browser."""
        try:
            self.opened.close()
        finally:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()


@pytest.fixture
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    program = next((path for path in PROGRAMS if os.access(path, os.X_OK)), None)
    if program is None:
        pytest.skip(f"no Firefox at {' or '.join(PROGRAMS)}")
    started = Firefox(program, tmp_path_factory.mktemp("firefox"))
    yield started
    started.close()


def test_review_works_in_firefox(firefox, server, client):
    firefox.open(server.address.url)
    firefox.wait("document.querySelector('.row.current img')?.naturalWidth")
    firefox.press(*"Wave", "\ue007")
    firefox.wait("document.querySelector('.class-key')")
    assert client.state()["classes"] == [{"name": "Wave", "count": 6}]
    firefox.press("1")
    firefox.wait("document.querySelector('.class-key small').textContent === '12'")
    firefox.press("z")
    firefox.wait("document.querySelector('.class-key small').textContent === '6'")
    firefox.press("\ue007")
    firefox.wait("document.querySelectorAll('.tile img').length >= 6")
    firefox.wait("document.querySelector('.tile img').naturalWidth")
    firefox.press(" ", "l", " ", "c")
    firefox.wait("document.querySelectorAll('.pane .good').length")
    firefox.press("d")
    firefox.wait("document.querySelector('.reference:not([hidden])')?.naturalWidth")
    ids = firefox.value(
        "[...document.querySelectorAll('.rail a')].map(a => a.dataset.screen).join()"
    )
    for screen in ids.split(","):
        firefox.value(f"(location.hash = '#/{screen}', true)")
        firefox.wait(f"document.querySelector('.screen.{screen}')?.children.length")
        if screen == "threshold":
            firefox.wait("document.querySelector('.stats strong')?.textContent > '0'")
    assert firefox.value("document.querySelectorAll('.toast.error').length") == 0


def test_painting_works_in_firefox(firefox, painting_server):
    firefox.open(painting_server.address.url)
    firefox.wait("document.body.dataset.image === '0'")
    firefox.value(
        """[['pointermove', -1], ['pointerdown', 0], ['pointerup', 0]].forEach(([type, button]) => {
          const { over } = painting.viewer;
          const box = over.getBoundingClientRect();
          const place = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
          over.dispatchEvent(new PointerEvent(type, { ...place, button, bubbles: true }));
        })"""
    )
    firefox.wait("painting.store.doc.objects.length === 1 && !painting.store.waiting")
    firefox.wait(
        """(() => {
          const { base, baseDraw } = painting.viewer;
          const middle = baseDraw.getImageData(base.width / 2, base.height / 2, 1, 1).data;
          const corner = baseDraw.getImageData(1, 1, 1, 1).data;
          return middle.join() !== corner.join();
        })()"""
    )
    firefox.press("z")
    firefox.wait("painting.store.doc.objects.length === 0")
    firefox.press("n")
    firefox.wait("document.body.dataset.image === '1'")
    assert not painting_server.painting.opened(0).document.painted
