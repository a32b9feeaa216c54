"""Requests that are not from the page of the server are refused; nothing changes."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'icas[web]'")

from icas.web.painting import serving as serving_painting
from icas.web.review import serving
from icas.web.security import MOST_BYTES
from icas.web.server import LocalServer

from .conftest import Client

PAINTING = ["state", "files", "thumb/0", "image/0", "doc/0", "labels/0", "events",
            "growth/0?row=3&col=3", "queue"]  # fmt: skip
"""Routes of a painting session that answer GET requests."""


@dataclass
class Face:
    """A page of a server: where its routes begin, and what they are."""

    server: Any
    client: Client
    folder: Path
    """Folder beside which nothing may be read or written."""
    api: str
    gets: list[str]
    posts: list[str]
    numbered: list[str]
    """Routes that end in a number."""
    queries: list[str]
    command: dict[str, Any]

    def state(self) -> Any:
        """The state."""
        return self.client.http.get(f"{self.api}state").json()

    def post(self, path: str, **body: Any) -> Any:
        """The answer of a POST request, whatever its status."""
        return self.client.http.post(self.api + path, json={"rev": 0, "id": "x", **body})


@pytest.fixture(scope="module")
def finished(run_folder, tmp_path_factory):
    """A copy of the run that all tests of this module share: none of them changes it."""
    folder = tmp_path_factory.mktemp("refused") / "sorted"
    shutil.copytree(run_folder / "sorted", folder)
    return folder


@pytest.fixture(scope="module")
def server(finished):
    with serving(finished) as running:
        running.start()
        yield running
        running.stop()


@pytest.fixture(scope="module")
def client(server):
    one = Client(server.address.url)
    yield one
    one.http.close()


GETS = {
    "review": ["/", "/static/app.js", "/api/state", "/api/images", "/api/thumb/0", "/api/image/0",
               "/api/forest", "/api/history", "/api/events", "/api/quality", "/api/cluster/0"],
    "painting": ["/", "/static/ui.js", *(f"/api/{path}" for path in PAINTING)],
    "mounted": ["/paint/", *(f"/paint/api/{path}" for path in PAINTING)],
}  # fmt: skip
STEPS = ["commands", "undo", "redo", "take"]
POSTS = {
    "review": [*STEPS, "jump", "plan", "apply", "export"],
    "painting": [*STEPS, "prompt"],
    "mounted": [*STEPS, "prompt"],
}
KINDS = list(GETS)


def rows(paths: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Each kind of page with each of its paths."""
    return [(kind, path) for kind in KINDS for path in paths[kind]]


@pytest.fixture(scope="module")
def review(server, client, finished):
    numbered = [f"/api/{path}/" for path in ("thumb", "image", "info", "cluster")]
    queries = ["thumb/0?size=", "state?rev=", "naming?count=", "questions/next?skip="]
    command = {"op": "name", "args": {"cluster": 0, "name": "cat"}}
    paths = GETS["review"], POSTS["review"], numbered, queries
    return Face(server, client, finished, "/api/", *paths, command)


def painted(server: Any, client: Client, folder: Path, kind: str) -> Face:
    """The page of a painting session, of which image 0 is open."""
    api = "/paint/api/" if kind == "mounted" else "/api/"
    while client.http.get(f"{api}doc/0").status_code == 202:
        pass
    routes = ["thumb", "image", "doc", "labels", "overrides", "tile/0/0/0", "tile/0", "growth"]
    queries = ["thumb/0?size=", "files?from=", "files?count=", "labels/0?rev=", "growth/0?row="]
    command = {"op": "fill", "image": 0, "args": {"row": 3, "col": 3, "class": 1}}
    numbered = [f"{api}{path}/" for path in routes]
    return Face(server, client, folder, api, GETS[kind], POSTS[kind], numbered, queries, command)


@pytest.fixture(scope="module")
def painting(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("painted") / "images"
    folder.mkdir()
    for name in ("img00.png", "img01.png"):
        shutil.copy(run_folder / "images" / name, folder)
    with serving_painting([folder]) as running:
        running.start()
        one = Client(running.address.url)
        yield painted(running, one, folder, "painting")
        one.http.close()
        running.stop()


@pytest.fixture(scope="module")
def mounted(server, client, finished):
    return painted(server, client, finished, "mounted")


@pytest.fixture(params=KINDS)
def face(request):
    """Each page."""
    return request.getfixturevalue(request.param)


@contextmanager
def without_cookie(face: Face) -> Iterator[httpx.Client]:
    """Requests without cookie or headers."""
    with httpx.Client(base_url=face.server.address.url.partition("/?")[0], timeout=30) as http:
        yield http


@pytest.mark.parametrize(("kind", "path"), rows(GETS))
def test_missing_and_wrong_tokens(request, kind, path):
    face = request.getfixturevalue(kind)
    access = face.server.address.access
    with without_cookie(face) as raw:
        assert raw.get(path).status_code == 403
        for value in ("", "wrong", access.token[:-1], "ü"):
            cookie = f"{access.cookie}={value}".encode("latin-1")
            assert raw.get(path, headers={"Cookie": cookie}).status_code == 403
        assert raw.get(f"{path}?token=wrong").status_code == 403
        if path != "/":  # the token is taken by the page only
            assert raw.get(f"{path}?token={access.token}").status_code == 403


def test_token_becomes_a_cookie_and_leaves_the_address(face):
    with without_cookie(face) as raw:
        answer = raw.get(face.server.address.url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.evil:{port}",
        "",
    ],
)
def test_foreign_hosts(face, host):
    headers = {"Host": host.format(port=face.server.address.access.port)}
    assert face.client.http.get(f"{face.api}state", headers=headers).status_code == 403
    answer = face.client.http.get(face.server.address.url, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST"])
def test_own_hosts(face, host):
    headers = {"Host": f"{host}:{face.server.address.access.port}"}
    assert face.client.http.get(f"{face.api}state", headers=headers).status_code == 200


@pytest.mark.parametrize(("kind", "path"), rows(POSTS))
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": ""},
        {"X-Icas": "0"},
        {"X-Icas": ""},
    ],
)
def test_posts_from_elsewhere(request, kind, path, headers):
    face = request.getfixturevalue(kind)
    port = face.server.address.access.port
    changed = {name: value.format(port=port) for name, value in headers.items()}
    body = {"rev": 0, "id": "x", **face.command}
    answer = face.client.http.post(face.api + path, json=body, headers=changed)
    assert answer.status_code == 403
    assert face.state()["rev"] == 0


def test_posts_without_headers(face):
    client = face.client
    for name in ("origin", "x-icas"):
        headers = dict(client.http.headers)
        del headers[name]
        with httpx.Client(base_url=client.base, cookies=client.http.cookies) as http:
            http.headers = headers
            answer = http.post(f"{face.api}undo", json={"rev": 0, "id": "x"})
            assert answer.status_code == 403


def test_other_methods(face):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = face.client.http.request(method, f"{face.api}state")
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers
    assert face.client.http.get(f"{face.api}commands").status_code == 405
    assert face.client.http.post(f"{face.api}state", json={}).status_code == 405


@pytest.mark.parametrize(("kind", "path"), rows(GETS))
def test_headers_of_every_answer(request, kind, path):
    with request.getfixturevalue(kind).client.http.stream("GET", path) as answer:
        assert answer.status_code == 200
        headers = answer.headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


SECRETS = [
    "../secret.txt", "..%2fsecret.txt", "%2e%2e/%2e%2e/secret.txt", "....//secret.txt",
    "/etc/passwd", "%2fetc%2fpasswd", "..\\secret.txt", "0/../../secret.txt", "0%00", "-1",
    "999999999999999999999", "1e3", "0x1", "file:///etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("path", SECRETS)
def test_paths_out_of_the_opened_folders(face, path):
    (face.folder.parent / "secret.txt").write_text("secret")
    access = face.server.address.access
    for start in ("/static/", *face.numbered, "/", face.api):
        with socket.create_connection(("127.0.0.1", access.port), 20) as connection:
            connection.sendall(
                f"GET {start}{path} HTTP/1.1\r\nHost: 127.0.0.1:{access.port}\r\n"
                f"Connection: close\r\nCookie: {access.cookie}={access.token}\r\n\r\n".encode()
            )
            answer = b""
            while part := connection.recv(1 << 16):
                answer += part
        assert answer.split()[1] in (b"400", b"403", b"404", b"405")
        assert b"secret" not in answer.partition(b"\r\n\r\n")[2]
        assert b"root:" not in answer
    http = face.client.http
    for query in face.queries:
        assert http.get(face.api + query).status_code < 500
        route, _, name = query.rstrip("=").partition("?")
        assert http.get(face.api + route, params={name: path}).status_code < 500


@pytest.mark.parametrize(
    "out",
    ["../x", "/tmp/x", "a/b", "a\\b", "..", ".", "", " ", "C:x", ".hidden", "a\0b", "a\nb", 7],
)
def test_exports_stay_beside_the_result(client, finished, out):
    before = sorted(finished.parent.iterdir())
    answer = client.post("export", out=out, formats=["csv"])
    assert answer.status_code == 400
    assert sorted(finished.parent.iterdir()) == before


def test_export_formats_are_names(client):
    for formats in (["../x"], "csv", [7], {"a": 1}, ["icas.web.server:LocalServer"]):
        assert client.post("export", out="data", formats=formats).status_code == 400


def test_oversized_requests(face):
    def parts():
        for _ in range(MOST_BYTES // (1 << 20) + 2):
            yield b"x" * (1 << 20)

    for content in (b"x" * (MOST_BYTES + 1), parts()):
        with suppress(httpx.TransportError):  # closed while it was still sending
            answer = face.client.http.post(f"{face.api}commands", content=content)
            assert answer.status_code == 413
    assert face.state()["rev"] == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"rev": NaN}', b"1" * 5000],
)
def test_bodies_that_are_no_commands(face, body):
    for path in set(face.posts) - {"take", "plan"}:  # a plan needs nothing from the body
        answer = face.client.http.post(face.api + path, content=body)
        assert answer.status_code == 400, (path, answer.text)
    assert face.state()["rev"] == 0


@pytest.mark.parametrize("rev", [-1, 1, 99, "0", None, True, 0.5, [], 10**30])
def test_stale_and_invalid_revisions(face, rev):
    answer = face.post("commands", **face.command, rev=rev)
    assert answer.status_code in (400, 409)
    if answer.status_code == 409:
        assert answer.json()["rev"] == 0
    assert face.state()["rev"] == 0


@pytest.mark.parametrize("id", ["", None, 7, "a\nb", "x" * 101])
def test_invalid_ids(face, id):
    assert face.post("commands", **face.command, id=id).status_code == 400


def test_id_of_the_first_row(review):
    assert review.post("commands", **review.command, id="open").status_code == 400


@pytest.mark.parametrize("image", [-1, 2**40, "0", None, 1.0, True, [0], "../0"])
def test_images_are_numbers(painting, image):
    for path, body in (("commands", painting.command), ("undo", {}), ("redo", {})):
        assert painting.post(path, **{**body, "image": image}).status_code == 400
    assert painting.state()["rev"] == 0


def test_listens_on_loopback_only(server):
    assert server.address.access.host == "127.0.0.1"
    address = socket.gethostbyname(socket.gethostname())
    if address.startswith("127."):
        pytest.skip("no other address here")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, server.address.access.port), 2)


def test_who_opens_the_address_before_the_server_runs_waits():
    running = LocalServer([])
    address = ("127.0.0.1", running.address.access.port)
    with socket.create_connection(address, timeout=10) as early:
        host = f"127.0.0.1:{address[1]}"
        early.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        running.start()
        assert b" 403 " in early.recv(100)
    running.stop()
