"""The page of a local server in a frame of a notebook."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from icas.web.server import Address

_MODULE = """
function render({ model, el }) {
  const host = location.hostname;
  if (!["localhost", "127.0.0.1", "[::1]"].includes(host)) {
    const text = document.createElement("p");
    text.textContent = "The server runs on the machine of the kernel. Run this in a terminal "
      + "first: " + model.get("tunnel") + " - then open " + model.get("url");
    el.append(text);
    return;
  }
  const frame = document.createElement("iframe");
  frame.src = `http://${host}:${model.get("port")}/?token=${model.get("token")}`;
  frame.title = model.get("title");
  frame.style.cssText = "width: 100%; height: 720px; border: 1px solid #8886";
  const link = document.createElement("a");
  link.href = frame.src;
  link.target = "_blank";
  link.rel = "noopener";
  link.textContent = "open in a tab";
  el.append(frame, link);
}
export default { render };
"""


def frame_of(address: Address, title: str) -> Any:
    """A widget that shows the page of a server; None where anywidget is not installed."""
    if find_spec("anywidget") is None:
        return None
    import anywidget
    import traitlets

    access = address.access
    values = {
        "port": traitlets.Int(access.port).tag(sync=True),
        "token": traitlets.Unicode(access.token).tag(sync=True),
        "url": traitlets.Unicode(address.url).tag(sync=True),
        "tunnel": traitlets.Unicode(address.tunnel()).tag(sync=True),
        "title": traitlets.Unicode(title).tag(sync=True),
        "_esm": _MODULE,
    }
    return type("PageFrame", (anywidget.AnyWidget,), values)()
