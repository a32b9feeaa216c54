"""`icas.review` in a notebook: a widget whose frame shows the page."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import icas

pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'icas[web]'")


@pytest.fixture
def review(finished):
    with icas.review(finished) as server:
        yield server


def test_cell_shows_a_widget(review):
    pytest.importorskip("anywidget", reason="no anywidget: pip install 'icas[web]'")
    bundle = review._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    assert str(review._widget.port) in review.url
    assert "render" in review._widget._esm
    assert repr(review).endswith(f"{review.url}>")


@pytest.fixture(params=["review", "paint"])
def running(request, finished, tmp_path):
    """A running review, or painting of an image."""
    if request.param == "review":
        made = icas.review(finished)
    else:
        made = icas.paint(np.zeros((40, 60, 3), np.uint8), out=tmp_path / "out")
    with made as server:
        yield server


def test_frame_in_a_page_of_this_machine(running, chromium):
    module = pytest.importorskip("icas.web.widget")._MODULE
    values = {"port": int(running.url.split(":")[2].partition("/")[0]), "title": "review"}
    values["token"] = running.url.partition("token=")[2]
    page = f"""<!doctype html><title>notebook</title><div id=cell></div><script type=module>
    {module.replace("export default { render };", "")}
    const values = {values};
    render({{ model: {{ get: (name) => values[name] }}, el: document.getElementById("cell") }});
    </script>"""

    class Notebook(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Notebook) as notebook:
        threading.Thread(target=notebook.serve_forever, daemon=True).start()
        opened = chromium.new_page()
        opened.goto(f"http://localhost:{notebook.server_address[1]}/")
        frame = opened.frame_locator("iframe")
        frame.locator("main").wait_for(timeout=20_000)
        state = opened.frames[1].evaluate("fetch('/api/state').then((answer) => answer.status)")
        assert state == 200
        opened.close()
        notebook.shutdown()


def test_other_pages_cannot_frame_a_review_of_the_command(server, chromium):
    opened = chromium.new_page()
    opened.set_content(f'<iframe src="{server.address.url}"></iframe>')
    opened.wait_for_timeout(500)
    assert opened.frames[1].url.startswith(("chrome-error:", "about:"))
    opened.close()
