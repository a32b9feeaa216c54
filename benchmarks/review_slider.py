"""Time of a frame of the threshold slider of ``clusterimg review``, in Chromium.

    python benchmarks/review_slider.py [--images 100000] [--frames 400]

The page is the real one; its server answers for that many images without reading any. A frame is
the time from a request to the worker until counts, pairs and curve are drawn.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
from typing import Any

import cv2
import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import labels_at, members_of, spanning_forest
from icas.web.server import LocalServer

THRESHOLD = 0.6
FAMILY = 8
"""Images of a family, on average."""


def made_forest(count: int) -> Any:
    """A spanning forest of families, some of which weak links join."""
    rng = np.random.default_rng(0)
    family = np.sort(rng.integers(0, count // FAMILY, count))
    a = np.arange(1, count)
    same = family[1:] == family[:-1]
    strength = np.where(same, rng.beta(9, 2, count - 1), rng.beta(2, 4, count - 1))
    b = a - 1
    return spanning_forest(count, [Links(b, a, strength.astype(np.float32))])


def routes(count: int) -> list[Route]:
    """The parts of the interface that the screen uses."""
    forest = made_forest(count)
    groups = [one.tolist() for one in members_of(labels_at(forest, THRESHOLD))]
    clusters = [
        {"id": number, "members": group, "name": None, "weakest": 0.7, "doubt": 0.2}
        | {"state": "untouched", "bridge": False, "fixed": False}
        for number, group in enumerate(groups)
    ]
    run = {"dst": "made", "src": "made", "method": "orb", "threshold": THRESHOLD}
    run |= {"images": count, "unreadable": 0, "linkage": "single", "floor": 0.0}
    state = {"rev": 0, "read_only": False, "run": run, "clusters": clusters, "outliers": []}
    state |= {"held": [], "rejected": [], "labels": {}, "classes": [], "best": {}}
    state |= {"threshold": THRESHOLD, "undo": None, "redo": None, "applied_rev": 0, "pending": 0}
    names = {"files": [f"img{number:06}.jpg" for number in range(count)]}
    packed = struct.pack("<I", len(forest.a)) + b"".join(
        np.ascontiguousarray(array, kind).tobytes()
        for array, kind in ((forest.a, "<i4"), (forest.b, "<i4"), (forest.similarity, "<f4"))
    )

    async def thumb(request: Request) -> Response:
        rng = np.random.default_rng(request.path_params["number"] % 997)
        image = cv2.resize(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8), (64, 64))
        return Response(cv2.imencode(".jpg", image)[1].tobytes(), media_type="image/jpeg")

    async def events(_: Request) -> Response:
        async def lines() -> Any:
            yield 'event: state\ndata: {"rev":0}\n\n'

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def answer(request: Request) -> Response:
        return JSONResponse(state if request.url.path.endswith("state") else names)

    async def forest_bytes(_: Request) -> Response:
        return Response(packed, media_type="application/octet-stream")

    return [
        Route("/api/state", answer),
        Route("/api/images", answer),
        Route("/api/forest", forest_bytes),
        Route("/api/events", events),
        Route("/api/thumb/{number:int}", thumb),
    ]


SLIDE = """async (frames) => {
    const root = document.querySelector('.screen.threshold');
    const slider = root.querySelector('.threshold-slider');
    const next = () => new Promise(requestAnimationFrame);
    const times = [], gaps = [];
    let last = await next();
    for (let i = 0; i < frames; i++) {
        slider.value = String(5000 + 4900 * Math.sin(i / 23));
        slider.dispatchEvent(new Event('input'));
        await next();
        const now = await next();
        gaps.push((now - last) / 2);
        last = now;
        times.push(root.frameTime());
    }
    return [times, gaps, performance.memory.usedJSHeapSize / 1e6];
}"""


def main() -> int:
    """Print the times."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--frames", type=int, default=400)
    given = parser.parse_args()
    server = LocalServer(routes(given.images))
    server.start()
    path = next((one for one in ("/usr/bin/chromium",) if os.access(one, os.X_OK)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(server.address.url)
        page.wait_for_selector(".rail a")
        page.evaluate("location.hash = '#/threshold'")
        page.wait_for_selector(".stats")
        page.wait_for_timeout(1000)
        times, gaps, memory = page.evaluate(SLIDE, given.frames)
        browser.close()
    server.stop()
    for name, values in (("frame", times), ("between two frames", gaps)):
        middle, high, most = np.percentile(values, (50, 95, 100))
        print(f"{name}: median {middle:.1f} ms, p95 {high:.1f} ms, most {most:.1f} ms")
    print(f"JavaScript heap: {memory:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
