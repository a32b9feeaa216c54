"""A server killed in the middle of 200 random commands continues with all it has answered."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading

import httpx
import pytest

from .conftest import Client

pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'icas[web]'")
COMMANDS = 200


@contextlib.contextmanager
def process(folder):
    """The command ``clusterimg review`` as a process, and its address."""
    command = [sys.executable, "-m", "icas.clusterimg", "review", folder, "--no-browser"]
    environment = {**os.environ, "SSH_CONNECTION": "", "DISPLAY": ":0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        try:
            yield running, running.stdout.readline().split()[1]
        finally:
            running.kill()


def kill_later(running, seconds):
    """Kill a process in the middle of what comes next."""
    threading.Timer(seconds, running.kill).start()


class Mirror:
    """The state as a page keeps it: the first one, changed by the answers."""

    def __init__(self, state):
        self.clusters = {one["id"]: one for one in state["clusters"]}
        self.rest = {key: state[key] for key in ("outliers", "held", "rejected")}
        self.labels = dict(state["labels"])
        self.plain = {}
        self.update(state)

    def update(self, state):
        for key in ("rev", "best", "threshold", "undo", "redo", "pending"):
            self.plain[key] = state[key]
        self.plain["classes"] = sorted(state["classes"], key=lambda one: one["name"])
        for one in state["clusters"]:
            self.clusters[one["id"]] = one
        for number in state.get("removed", ()):
            self.clusters.pop(number, None)
        for key in self.rest:
            self.rest[key] = self.rest[key] if state[key] is None else state[key]
        for image, label in state["labels"].items():
            if label is None:
                self.labels.pop(image, None)
            else:
                self.labels[image] = label

    def __eq__(self, other):
        return vars(self) == vars(other)


def random_request(mirror, rng):
    """Path and body of a random command that the state allows."""
    clusters, images = list(mirror.clusters), range(40)
    some = rng.sample(images, rng.randint(1, 4))
    ops = [
        ("label", {"images": some, "name": rng.choice(["cat", "dog", "cow", None])}),
        ("move", {"images": some, "to": rng.choice([*clusters, "new", "outliers"])}),
        ("threshold", {"value": rng.choice([0.75, 0.85, 0.95])}),
    ]
    if clusters:
        one = rng.choice(clusters)
        inside = mirror.clusters[one]["members"]
        ops += [
            ("name", {"cluster": one, "name": rng.choice(["cat", "dog", None])}),
            ("mark", {"cluster": one, "state": rng.choice(["done", "doubtful"])}),
            ("split", {"cluster": one, "groups": [inside[: len(inside) // 2]]}),
            ("keep_best", {"cluster": one, "image": rng.choice(inside)}),
        ]
    if len(clusters) > 1:
        ops.append(("merge", {"clusters": rng.sample(clusters, 2)}))
    if mirror.plain["undo"] and rng.random() < 0.2:
        return "undo", {}
    if mirror.plain["redo"] and rng.random() < 0.5:
        return "redo", {}
    op, args = rng.choice(ops)
    return "commands", {"op": op, "args": args}


def kill_and_compare(folder, seed):
    """One round: commands until the server is killed at a random moment, then a restart."""
    rng = random.Random(seed)
    last = rng.randrange(20, COMMANDS)
    answered = 0
    with process(folder) as (running, url):
        client = Client(url, f"round-{seed}")
        mirror = Mirror(client.state())
        for number in range(COMMANDS):
            path, body = random_request(mirror, rng)
            body |= {"rev": mirror.plain["rev"], "id": f"{seed}-{number}"}
            if number == last:
                kill_later(running, rng.random() * 0.02)
            try:
                answer = client.http.post(f"/api/{path}", json=body)
            except httpx.TransportError:
                break
            if answer.status_code == 200:
                mirror.update(answer.json()["delta"])
                answered += 1
        running.wait(30)
    assert answered > 5
    with process(folder) as (running, url):
        client = Client(url, f"again-{seed}")
        assert mirror.plain["rev"] <= client.rev <= mirror.plain["rev"] + 1
        if client.rev > mirror.plain["rev"]:  # stored, but killed before it was answered
            answer = client.http.post(f"/api/{path}", json=body)
            mirror.update(answer.json()["delta"])
        assert Mirror(client.state()) == mirror
        assert len(client.get("history")) <= mirror.plain["rev"]


def test_killed_three_times(finished):
    for seed in range(3):
        kill_and_compare(finished, seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_a_hundred_times(finished):
    for seed in range(100, 200):
        kill_and_compare(finished, seed)


def test_killed_while_it_is_applied(finished):
    """Apply is finished at the next start; nothing is lost, and the plan is empty then."""
    rng = random.Random(0)
    for number in range(2):
        with process(finished) as (running, url):
            client = Client(url, f"apply-{number}")
            client.command(
                "merge", clusters=rng.sample([one["id"] for one in client.state()["clusters"]], 2)
            )
            before = client.state()
            plan = client.done("plan", rev=client.rev)
            kill_later(running, rng.random() * 0.4)
            with contextlib.suppress(httpx.TransportError):
                client.post("apply", plan=plan["plan"])
            running.wait(30)
        with process(finished) as (_, url):
            client = Client(url, f"after-{number}")
            state = client.state()
            assert state["clusters"] == before["clusters"]
            plan = client.done("plan")
            client.done("apply", plan=plan["plan"])
            assert client.done("plan", rev=client.rev)["lines"] == ["nothing to change"]
            assert client.state()["pending"] == 0
