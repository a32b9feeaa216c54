"""The command ``segmentimg serve``."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from icas.segmentimg.commands.main import main


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return folder


def test_without_the_extra(photos, monkeypatch, capsys):
    found = importlib.util.find_spec
    missing = {"uvicorn"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in missing else found(name)
    )
    assert main(["serve", str(photos)]) == 2
    assert capsys.readouterr().err == (
        "segmentimg: segmentimg serve needs starlette and uvicorn: pip install 'icas[web]'\n"
    )
    assert list(photos.parent.iterdir()) == [photos]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing"], "missing does not exist"),
        (["--save", "overlay"], "--save overlay: choose from masks, labels"),
        (["--method", "grabcut"], "makes no segments without a box or point"),
        (["--port", "70000"], "--port 70000: expected 0 to 65535"),
        (["--host", "0.0.0.0"], "give the name or address by which this machine is reached"),
        (["--out", "file"], "cannot write masks to file"),
    ],
)
def test_wrong_usage(photos, monkeypatch, capsys, words, message):
    pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'icas[web]'")
    monkeypatch.chdir(photos.parent)
    (photos.parent / "file").write_bytes(b"")
    paths = [] if words == ["missing"] else ["photos"]
    assert main(["serve", *paths, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (photos.parent / "photos_segmented").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for another process")
def test_address_and_summary(photos):
    for name in ("uvicorn", "starlette", "httpx"):
        pytest.importorskip(name, reason=f"no {name}: pip install 'icas[web]' httpx")
    import httpx

    (photos / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    command = [sys.executable, "-m", "icas.segmentimg", "serve", photos, "--no-browser"]
    environment = {**os.environ, "SSH_CONNECTION": "1 2 3 4"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        url = running.stdout.readline().split()[1]
        assert "ssh -L" in running.stdout.readline()
        base = url.partition("/?")[0]
        with httpx.Client(base_url=base, headers={"Origin": base, "X-Icas": "1"}) as http:
            http.get(url)
            for number in (1, 0):
                while (answer := http.get(f"/api/doc/{number}")).status_code == 202:
                    pass
            assert answer.status_code == 200
            args = {"box": [0, 0, 9, 9], "class": 1}
            body = {"rev": 0, "id": "a", "op": "rectangle", "image": 0, "args": args}
            assert http.post("/api/commands", json=body).status_code == 200
        running.send_signal(signal.SIGINT)
        output, error = running.communicate(timeout=60)
    assert output.splitlines()[-1] == (
        f"2 images, 0 saved, 1 painted but not saved, 1 unreadable -> {photos}_segmented"
    )
    assert error.startswith(f"unreadable: {photos / 'b.png'}: ")
    assert "Traceback" not in error
    assert running.returncode == 3
