"""Hostile names, tabs, repeated requests, two servers, no network: nothing is lost or run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import icas

from .conftest import Client, drawing

NASTY = '<img src=x onerror="alert(1)">\'"&{{7*7}}'


def test_replayed_ids_do_nothing_twice(client):
    args = {"clusters": [0, 1]}
    body = {"rev": 0, "id": "same", "op": "merge", "args": args}
    first = client.http.post("/api/commands", json=body).json()
    second = client.http.post("/api/commands", json={**body, "rev": 77}).json()
    assert first == second
    assert client.state()["rev"] == 1
    other = {**body, "args": {"clusters": [2, 3]}}
    assert client.http.post("/api/commands", json=other).status_code == 400
    undo = {"rev": 1, "id": "undo"}
    for _ in range(3):
        assert client.http.post("/api/undo", json=undo).status_code == 200
    assert client.state()["rev"] == 2


def test_markup_in_class_names_is_text(client, finished):
    client.command("name", cluster=0, name=NASTY)
    client.command("label", images=[0], name="</script><script>alert(1)</script>")
    answer = client.http.get("/api/state")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["classes"][0]["name"] == NASTY
    for name in ("a\nb", "\x00", "\ud800", "a\u2028b"):
        body = json.dumps({"rev": client.rev, "id": "n" + repr(name), "op": "name",
                           "args": {"cluster": 0, "name": name}})  # fmt: skip
        assert client.http.post("/api/commands", content=body).status_code == 400
    plan = client.done("plan")
    client.done("apply", plan=plan["plan"])
    page = (finished / "report.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_markup_in_file_names_is_text(tmp_path, chromium):
    from icas.web.review import serving

    source = tmp_path / "images"
    source.mkdir()
    if os.name == "nt":
        pytest.skip("such names are not possible here")
    for number in range(3):
        image = Image.fromarray((drawing("rings") * 200 + number).astype("uint8"))
        image.save(source / f"<img src=x onerror=alert({number})>.png")
    Image.new("RGB", (8, 8)).save(os.fsencode(source) + b"/not-utf8-\xff.png")
    icas.cluster(source, method="imagehash", threshold=0.8, dst=tmp_path / "sorted", jobs=1)
    with serving(tmp_path / "sorted") as server:
        server.start()
        client = Client(server.address.url)
        names = client.get("images")["files"]
        assert "<img src=x onerror=alert(0)>.png" in names
        assert "not-utf8-\\xff.png" in names
        opened = chromium.new_page()
        dialogs = []
        opened.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        opened.goto(server.address.url)
        opened.wait_for_timeout(700)
        assert not dialogs
        assert opened.evaluate("document.querySelectorAll('[onerror]').length") == 0
        opened.close()
        server.stop()


def test_first_tab_writes(client, server):
    def tab(name):
        return {"X-Icas-Tab": name}

    assert client.get("state?tab=one")["read_only"] is False
    assert client.get("state?tab=two")["read_only"] is True
    body = {"rev": 0, "id": "a", "op": "merge", "args": {"clusters": [0, 1]}}
    assert client.http.post("/api/commands", json=body, headers=tab("two")).status_code == 403
    assert client.http.post("/api/commands", json=body, headers=tab("one")).status_code == 200
    assert client.http.post("/api/take", json={}, headers=tab("two")).status_code == 200
    undo = {"rev": 1, "id": "b"}
    assert client.http.post("/api/undo", json=undo, headers=tab("one")).status_code == 403
    assert client.http.post("/api/undo", json=undo, headers=tab("two")).status_code == 200


def test_closed_tab_lets_another_one_write(client):
    with client.http.stream("GET", "/api/events?tab=one") as events:
        lines = events.iter_lines()
        assert next(lines) == "event: state"
        assert client.get("state?tab=one")["read_only"] is False
        assert client.get("state?tab=two")["read_only"] is True
    for _ in range(200):
        if client.get("state?tab=two")["read_only"] is False:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the second tab stays read only")


def test_second_server_is_read_only(client, finished):
    from icas.web.review import serving

    with serving(finished) as second:
        second.start()
        other = Client(second.address.url, "other")
        assert other.state()["read_only"] is True
        client.command("merge", clusters=[0, 1])
        assert len(other.state()["clusters"]) == 5
        answer = other.post("commands", op="merge", args={"clusters": [0, 2]}, rev=1)
        assert answer.status_code == 409
        second.stop()


PROBE = """
import json, os, socket, subprocess, sys, threading
from pathlib import Path
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
seen = []
real = socket.socket.connect
def connect(self, address):
    seen.append(address)
    return real(self, address)
socket.socket.connect = connect
sys.path.insert(0, sys.argv[2])
from icas.web.review import serving
with serving(Path(sys.argv[1])) as server:
    server.start()
    import importlib.util
    spec = importlib.util.spec_from_file_location("conf", Path(sys.argv[2]) / "conftest.py")
    conf = importlib.util.module_from_spec(spec); spec.loader.exec_module(conf)
    client = conf.Client(server.address.url)
    client.command("merge", clusters=[0, 1])
    client.http.get("/api/naming"); client.http.get("/api/quality")
    client.http.get("/api/thumb/0"); client.http.get("/api/image/0")
    server.session.similar.wait(); server.session.checks.wait()
    plan = client.done("plan"); client.done("apply", plan=plan["plan"])
    server.stop()
print(json.dumps([str(one) for one in seen if not str(one[0]).startswith("127.")]))
"""


def test_works_without_a_network(finished):
    unshare, ip = shutil.which("unshare"), shutil.which("ip")
    if unshare is None or ip is None:
        pytest.skip("no unshare or ip: no network can be taken away")
    isolated = [unshare, "--map-root-user", "-n"]
    if subprocess.run([*isolated, "true"], capture_output=True).returncode:
        pytest.skip("no network namespaces here: unshare -n is not permitted")
    done = subprocess.run(
        [*isolated, sys.executable, "-c", PROBE, finished, Path(__file__).parent],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_every_address_at_once_is_refused(finished, host):
    with pytest.raises(icas.UsageError, match="give the name or address"):
        icas.review(finished, host=host)


def test_missing_extra_is_one_line():
    code = (
        "import sys; sys.modules['uvicorn'] = None; import importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'uvicorn' else real(name, *a);"
        "from icas.clusterimg.commands.main import main; sys.exit(main(['review', 'nothing']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "clusterimg: clusterimg review needs starlette and uvicorn: pip install 'icas[web]'\n"
    )


def test_command_prints_one_address_and_stops_at_an_interrupt(finished):
    command = [sys.executable, "-m", "icas.clusterimg", "review", finished, "--no-browser"]
    environment = {**os.environ, "SSH_CONNECTION": "1 2 3 4"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, env=environment) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        first, second = running.stdout.readline(), running.stdout.readline()
        assert first.startswith("review: http://127.0.0.1:")
        port = first.partition("127.0.0.1:")[2].partition("/")[0]
        assert f"ssh -L {port}:127.0.0.1:{port} " in second
        client = Client(first.split()[1])
        client.command("merge", clusters=[0, 1])
        with client.http.stream("GET", "/api/events") as events:
            assert events.status_code == 200
            running.send_signal(signal.SIGINT)
            assert list(events.iter_lines())
        assert running.wait(30) in (0, 130)
        assert running.stderr.read() == ""
    assert not (finished / ".icas" / "review" / "lock").exists()
