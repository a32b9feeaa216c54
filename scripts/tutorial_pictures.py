"""Make the pictures of docs/tutorials/sorting.md by the commands that the page shows.

    python scripts/tutorial_pictures.py [--chromium PROGRAM] [--out DIR]

The report page is photographed by a headless Chromium.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

COMMANDS = """
demo
icas-demo/mixed --method orb --threshold auto --dst by-orb
thresholds icas-demo/mixed --method orb --labels icas-demo/labels.csv --out orb.csv --plot orb.png
"""
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
WINDOW = (1000, 1480)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        desk = Path(name)
        for line in COMMANDS.split("\n")[1:-1]:
            subprocess.run(
                [sys.executable, "-m", "icas.clusterimg", *line.split()], cwd=desk, check=True
            )
        page = desk / "by-orb" / "report.html"
        page.write_text(page.read_text("utf-8").replace(f"{desk.resolve()}/", ""), "utf-8")
        photograph(given.chromium, page, desk / "report.png")
        keep(desk / "report.png", given.out / "tutorial-report.jpg", quality=70, optimize=True)
        keep(desk / "orb.png", given.out / "tutorial-thresholds.png", optimize=True)


def photograph(chromium: str, page: Path, picture: Path) -> None:
    """The top of a page, as wide and high as `WINDOW`."""
    flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1"]
    size = "--window-size={},{}".format(*WINDOW)
    command = [chromium, *flags, size, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)


def keep(made: Path, path: Path, **how: object) -> None:
    with Image.open(made) as picture:
        picture.convert("RGB").save(path, **how)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
