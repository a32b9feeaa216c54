"""Make the screenshots of the sorting pages: report, threshold curve and threshold window.

    python scripts/tutorial_pictures.py [--chromium PROGRAM] [--out DIR]

The commands are those of docs/tutorials/sorting.md. A headless Chromium renders the report.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import icas
from icas.clusterimg.methods import make_method
from icas.clusterimg.picker.curve import first_state
from icas.clusterimg.picker.figure import PickerFigure, Subject
from icas.clusterimg.picker.pairs import Nearest, Thumbnails, reader_of_files
from icas.clusterimg.thresholds.sample import Sample

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
        pick_window(desk / "icas-demo" / "mixed", desk / "pick.png")
        keep(desk / "pick.png", given.out / "pick.png", optimize=True)
        keep(desk / "orb.png", given.out / "tutorial-thresholds.png", optimize=True)


def pick_window(folder: Path, picture: Path) -> None:
    """The window of ``--threshold pick`` with a threshold under the pointer."""
    features = icas.features(folder, method="imagehash")
    sample = Sample.of(make_method("imagehash"), features, len(features))
    subject, state = Subject.of(sample), first_state(sample, 0.73).hover(0.755)
    figure = Figure(figsize=(9.0, 8.0), dpi=100)
    FigureCanvasAgg(figure)
    window = PickerFigure(figure, subject, animated=False, take=lambda: None)
    window.build(state)
    window.show_numbers(state)
    nearest = Nearest.of(sample, state.shown, window.columns)
    thumbnails = Thumbnails(reader_of_files([folder / file for file in features.files]))
    thumbnails.read_now(nearest.images)
    window.show_pairs(nearest, thumbnails.those_there(nearest.images))
    thumbnails.close()
    figure.savefig(picture)


def photograph(chromium: str, page: Path, picture: Path) -> None:
    """Render the top of a page, as wide and high as `WINDOW`."""
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
