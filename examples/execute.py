"""Run the notebooks of this folder and store their outputs.

    python examples/execute.py                        # all of them
    python examples/execute.py 04-kmeans-colours      # some

Each runs in a separate kernel and an empty folder. The environment variables ICAS_WEIGHTS (a file
with weights of mobilenet_v2) and ICAS_SAM_CHECKPOINT are passed on. Needs nbclient, nbformat and
ipykernel, which `icas[test]` installs; 03 also needs `icas[deep]`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parent
SECONDS = 120
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None"
"""Stored outputs are plots; a widget is blank without its kernel."""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"}


def notebooks() -> list[Path]:
    """All notebooks, in order."""
    return sorted(EXAMPLES.glob("*.ipynb"))


def executed(path: Path) -> nbformat.NotebookNode:
    """A notebook with the outputs of this run.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell failed.
    """
    # joblib, used by scikit-learn, warns if it cannot count the cores and no smaller number is set
    os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name="python3",
            resources=where,
            extra_arguments=[f"--IPKernelApp.exec_lines={WITHOUT_WIDGETS!r}"],
        ).execute()
    return cleaned(notebook)


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without times, versions and cell ids, which differ between machines."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict(
            {"tags": cell.metadata.tags} if cell.metadata.get("tags") else {}
        )
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    return notebook


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Outputs with the parts of a stream joined: where it is split differs between runs."""
    found: list[nbformat.NotebookNode] = []
    for output in outputs:
        same = output.output_type == "stream" and found and found[-1].output_type == "stream"
        if same and found[-1].name == output.name:
            found[-1].text += output.text
        else:
            found.append(output)
    return found


if __name__ == "__main__":
    for one in notebooks():
        if one.stem in sys.argv[1:] or len(sys.argv) == 1:
            print(one.name, flush=True)
            nbformat.write(executed(one), one)
