"""Weight files: names, folder, verified and resumed downloads from a local server."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from icas import IcasError, UsageError
from icas.clusterimg.commands.main import main
from icas.onnx import weights

CONTENT = bytes(range(256)) * 5000


class Files(BaseHTTPRequestHandler):
    """Serves CONTENT, from the byte that is asked for."""

    ranges: ClassVar[list[str | None]] = []
    most: ClassVar[int] = len(CONTENT)  # bytes after which the connection ends

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted[6:-1]) if wanted else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.most])

    def log_message(self, *words):
        pass


@pytest.fixture
def source(monkeypatch, tmp_path):
    """Address of a server of the file of mobilenet_v2; the weights folder is empty."""
    monkeypatch.setenv("ICAS_WEIGHTS", str(tmp_path / "weights"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Files.ranges = []
    known = replace(
        weights.KNOWN["mobilenet_v2"],
        url=f"http://127.0.0.1:{server.server_port}/file",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
    )
    monkeypatch.setitem(weights.KNOWN, "mobilenet_v2", known)
    yield known.url
    server.shutdown()
    server.server_close()


def test_a_download_is_verified_kept_and_found(source, capsys, tmp_path):
    assert main(["weights", "get", "mobilenet_v2"]) == 0
    path = tmp_path / "weights" / "mobilenet_v2.onnx"
    assert path.read_bytes() == CONTENT
    assert capsys.readouterr().out == f"mobilenet_v2: 1 MB, verified -> {path}\n"
    assert weights.installed("mobilenet_v2") == weights.resolve("MobileNet_v2") == path
    assert weights.recommended("deep") == path
    assert weights.fetch("mobilenet_v2") == path
    assert len(Files.ranges) == 1
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_interrupted_download_is_resumed(source, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    for have in (1000, len(CONTENT)):
        (folder / "mobilenet_v2.onnx.part").write_bytes(CONTENT[:have])
        assert weights.fetch("mobilenet_v2").read_bytes() == CONTENT
        assert Files.ranges[-1] == f"bytes={have}-"
        (folder / "mobilenet_v2.onnx").unlink()


def test_a_connection_that_ends_early_is_not_mistaken_for_another_file(source, monkeypatch):
    monkeypatch.setattr(Files, "most", 900_000)
    with pytest.raises(IcasError, match=r"ended after 900,000 of 1,280,000 bytes: repeat"):
        weights.fetch("mobilenet_v2")
    assert weights.installed("mobilenet_v2") is None
    assert weights.fetch("mobilenet_v2").read_bytes() == CONTENT
    assert Files.ranges == [None, "bytes=900000-"]


def test_a_damaged_file_is_downloaded_again(source, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "mobilenet_v2.onnx").write_bytes(b"damaged")
    assert weights.fetch("mobilenet_v2").read_bytes() == CONTENT


def test_another_file_is_not_installed(source, monkeypatch, tmp_path, capsys):
    known = replace(weights.KNOWN["mobilenet_v2"], sha256="0" * 64)
    monkeypatch.setitem(weights.KNOWN, "mobilenet_v2", known)
    assert main(["weights", "get", "mobilenet_v2"]) == 1
    error = capsys.readouterr().err
    assert "SHA-256" in error
    assert error.count("\n") == 1
    assert list((tmp_path / "weights").iterdir()) == []


def test_without_a_network_the_error_is_one_line(source, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(IcasError, match=r"cannot download mobilenet_v2 from .*refused"):
        weights.fetch("mobilenet_v2", url=f"http://127.0.0.1:{port}/file")


def test_what_is_listed(source, capsys):
    assert main(["weights", "list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == list(weights.KNOWN)
    assert all(line.endswith("not installed") for line in shown)
    weights.fetch("mobilenet_v2")
    assert main(["weights", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["file"] == str(weights.installed("mobilenet_v2"))
    assert rows[1]["file"] is None


def test_unknown_and_missing_names(source, tmp_path):
    with pytest.raises(UsageError, match="no weights 'resnet': choose from mobilenet_v2"):
        weights.fetch("resnet")
    with pytest.raises(UsageError, match="clusterimg weights get mobilenet_v2"):
        weights.resolve("mobilenet_v2")
    assert weights.resolve(tmp_path / "own.onnx") == tmp_path / "own.onnx"
    assert main(["weights", "get"]) == 2
    assert main(["weights", "export", "--model", "resnet18"]) == 2
