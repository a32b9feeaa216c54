"""mkdocs hook: the notebooks of examples/ become pages, with their stored outputs."""

import base64
import json
import re
from pathlib import Path

from mkdocs.structure.files import File

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OTHER = re.compile(r"\]\(([\w-]+)\.ipynb\)")
LOCAL_LINK = re.compile(r"""<a [^>]*href=["'](?!https?:|#)[^>]*>(.*?)</a>""", re.DOTALL)
PICTURES = {"image/png": "png", "image/jpeg": "jpg"}


def on_files(files, config):
    for notebook in sorted(EXAMPLES.glob("*.ipynb")):
        page = Page(notebook.stem)
        text = page.written(json.loads(notebook.read_text(encoding="utf-8"))["cells"])
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=text))
        for name, content in page.pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


class Page:
    """A notebook as Markdown, and its pictures."""

    def __init__(self, name):
        self.name = name
        self.pictures = {}

    def written(self, cells):
        parts = [part for cell in cells for part in self.parts_of(cell)]
        where = f"This page is the notebook `examples/{self.name}.ipynb` with its output."
        return "\n\n".join([*parts[:1], where, *parts[1:]]) + "\n"

    def parts_of(self, cell):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield OTHER.sub(r"](\1.md)", source)
        elif source.strip():
            yield fenced(source, "python")
            for output in cell.get("outputs", []):
                yield self.shown(output)

    def shown(self, output):
        """The output of a cell, in the richest form that a page supports."""
        if output["output_type"] == "stream":
            return fenced("".join(output["text"]), "text")
        data = output.get("data", {})
        for kind, suffix in PICTURES.items():
            if kind in data:
                return self.picture("".join(data[kind]), suffix)
        if "text/html" in data:
            return f'<div class="output" markdown="0">{bare(data["text/html"])}</div>'
        return fenced("".join(data.get("text/plain", [])), "text")

    def picture(self, coded, suffix):
        name = f"{self.name}-{len(self.pictures) + 1}.{suffix}"
        self.pictures[name] = base64.b64decode(coded)
        return f"![Output of the cell above]({name})"


def fenced(text, language):
    fence = "`" * 3
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def bare(html):
    """HTML output of a cell, without links to files that the cell wrote.

    Empty lines are removed, as they end a block of HTML in Markdown.
    """
    html = LOCAL_LINK.sub(r"\1", "".join(html))
    return "\n".join(line for line in html.splitlines() if line.strip())
