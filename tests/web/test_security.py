"""Requests that are not from the page of the server are refused; nothing changes."""

from __future__ import annotations

import shutil
import socket
from contextlib import suppress

import httpx
import pytest

pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'icas[web]'")

from icas.web.review import serving
from icas.web.security import MOST_BYTES

from .conftest import Client


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


@pytest.fixture
def raw(server):
    """Requests without cookie or headers."""
    with httpx.Client(base_url=server.address.url.partition("/?")[0], timeout=30) as http:
        yield http


GETS = ["/", "/static/app.js", "/api/state", "/api/images", "/api/thumb/0", "/api/image/0"]
GETS += ["/api/forest", "/api/history", "/api/events", "/api/quality", "/api/cluster/0"]
POSTS = ["commands", "undo", "redo", "jump", "plan", "apply", "export", "take"]


@pytest.mark.parametrize("path", GETS)
def test_missing_and_wrong_tokens(raw, server, path):
    name = server.address.access.cookie
    assert raw.get(path).status_code == 403
    for value in ("", "wrong", server.address.access.token[:-1], "ü"):
        cookie = f"{name}={value}".encode("latin-1")
        assert raw.get(path, headers={"Cookie": cookie}).status_code == 403
    assert raw.get(f"{path}?token=wrong").status_code == 403
    if path != "/":  # the token is taken by the page only
        assert raw.get(f"{path}?token={server.address.access.token}").status_code == 403


def test_token_becomes_a_cookie_and_leaves_the_address(raw, server):
    answer = raw.get(server.address.url)
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
def test_foreign_hosts(client, server, host):
    port = server.address.access.port
    answer = client.http.get("/api/state", headers={"Host": host.format(port=port)})
    assert answer.status_code == 403
    answer = client.http.get(server.address.url, headers={"Host": host.format(port=port)})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST"])
def test_own_hosts(client, server, host):
    port = server.address.access.port
    assert client.http.get("/api/state", headers={"Host": f"{host}:{port}"}).status_code == 200


@pytest.mark.parametrize("path", POSTS)
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
def test_posts_from_elsewhere(client, server, path, headers):
    port = server.address.access.port
    changed = {name: value.format(port=port) for name, value in headers.items()}
    body = {"rev": 0, "id": "x", "op": "name", "args": {"cluster": 0, "name": "cat"}}
    answer = client.http.post(f"/api/{path}", json=body, headers=changed)
    assert answer.status_code == 403
    assert client.state()["rev"] == 0


def test_posts_without_headers(client, server):
    for name in ("origin", "x-icas"):
        headers = dict(client.http.headers)
        del headers[name]
        with httpx.Client(base_url=client.base, cookies=client.http.cookies) as http:
            http.headers = headers
            assert http.post("/api/undo", json={"rev": 0, "id": "x"}).status_code == 403


def test_other_methods(client):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = client.http.request(method, "/api/state")
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers
    assert client.http.get("/api/commands").status_code == 405
    assert client.http.post("/api/state", json={}).status_code == 405


@pytest.mark.parametrize("path", GETS)
def test_headers_of_every_answer(client, path):
    with client.http.stream("GET", path) as answer:
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
def test_paths_out_of_the_opened_folders(client, server, finished, path):
    (finished.parent / "secret.txt").write_text("secret")
    for start in ("/static/", "/api/thumb/", "/api/image/", "/api/info/", "/api/cluster/", "/"):
        with socket.create_connection(("127.0.0.1", server.address.access.port), 20) as connection:
            access = server.address.access
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
    for query in ("thumb/0?size=", "state?rev=", "naming?count=", "questions/next?skip="):
        assert client.http.get("/api/" + query, params={}).status_code < 500
        name = query.partition("?")[2][:-1]
        answer = client.http.get(f"/api/{query.partition('?')[0]}", params={name: path})
        assert answer.status_code < 500


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


def test_oversized_requests(client, server):
    def parts():
        for _ in range(MOST_BYTES // (1 << 20) + 2):
            yield b"x" * (1 << 20)

    for content in (b"x" * (MOST_BYTES + 1), parts()):
        with suppress(httpx.TransportError):  # closed while it was still sending
            assert client.http.post("/api/commands", content=content).status_code == 413
    assert client.state()["rev"] == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"rev": NaN}', b"1" * 5000],
)
def test_bodies_that_are_no_commands(client, body):
    assert client.http.post("/api/commands", content=body).status_code == 400
    assert client.state()["rev"] == 0


@pytest.mark.parametrize("rev", [-1, 1, 99, "0", None, True, 0.5, [], 10**30])
def test_stale_and_invalid_revisions(client, rev):
    args = {"cluster": 0, "name": "cat"}
    answer = client.post("commands", op="name", args=args, rev=rev)
    assert answer.status_code in (400, 409)
    if answer.status_code == 409:
        assert answer.json()["rev"] == 0
    assert client.state()["rev"] == 0


@pytest.mark.parametrize("id", ["", None, 7, "a\nb", "x" * 101, "open"])
def test_invalid_ids(client, id):
    args = {"cluster": 0, "name": "cat"}
    assert client.post("commands", op="name", args=args, id=id).status_code == 400


def test_listens_on_loopback_only(server):
    assert server.address.access.host == "127.0.0.1"
    address = socket.gethostbyname(socket.gethostname())
    if address.startswith("127."):
        pytest.skip("no other address here")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, server.address.access.port), 2)
