"""The notebooks in examples/: they run, and what they show is what lies in them."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed: pip install 'icas[test]'")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")

ROOT = Path(__file__).resolve().parent.parent
NAMES = (
    "01-sort-a-folder",
    "02-pick-a-threshold",
    "03-deep-features",
    "04-kmeans-colours",
    "05-segmenters",
    "06-paint",
    "07-templates",
    "08-segment-anything",
)
NETWORKS = {"03-deep-features": "torch", "08-segment-anything": "segment_anything"}
"""What these need; their figures depend on weights."""
BYTES = 1_500_000
OTHER_PLACES = re.compile(r"/(home|root|tmp|work|Users|private|mnt)/|[A-Z]:\\\\|0x[0-9a-f]{6,}")


@pytest.fixture(scope="module")
def execute():
    """The script that writes the outputs."""
    spec = importlib.util.spec_from_file_location("execute", ROOT / "examples" / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def weights(torch, tmp_path_factory) -> Path:
    """Random weights of mobilenet_v2."""
    from torchvision.models import mobilenet_v2

    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2.pth"
    torch.save(mobilenet_v2(weights=None).state_dict(), path)
    return path


def read(name: str):
    return nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)


def shown(cell) -> list[tuple]:
    """What a cell shows: texts word by word, pictures and HTML by their kind."""
    found = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            found.append((output.name, output.text))
        else:
            kinds = sorted(set(output.data) - {"text/plain"})
            found.append(tuple(kinds) or (output.data["text/plain"],))
    return found


def code_of(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def given(request, name: str) -> dict[str, str]:
    """Weights for the notebooks that need some, where torch is there."""
    if importlib.util.find_spec("torch") is None:
        return {}
    if name == "03-deep-features":
        return {"ICAS_WEIGHTS": str(request.getfixturevalue("weights"))}
    if name == "08-segment-anything" and importlib.util.find_spec("segment_anything"):
        return {"ICAS_SAM_CHECKPOINT": str(request.getfixturevalue("checkpoint"))}
    return {}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_shows_what_lies_in_it(name, execute, request, monkeypatch) -> None:
    for variable in ("ICAS_WEIGHTS", "ICAS_SAM_CHECKPOINT"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in given(request, name).items():
        monkeypatch.setenv(variable, value)
    made, kept = execute.executed(ROOT / "examples" / f"{name}.ipynb"), read(name)
    outputs = [shown(cell) for cell in code_of(made)]
    if name not in NETWORKS:
        assert outputs == [shown(cell) for cell in code_of(kept)]
    elif importlib.util.find_spec(NETWORKS[name]) is None:
        assert "The cells below are skipped." in outputs[0][0][1]
        assert not any(outputs[1:])
    else:
        assert outputs[0] == []
        assert all(outputs[1:])


def test_all_are_listed() -> None:
    assert sorted(path.stem for path in (ROOT / "examples").glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_in_a_notebook_is_clean(name, execute) -> None:
    path = ROOT / "examples" / f"{name}.ipynb"
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert len(text) < BYTES
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert execute.cleaned(nbformat.reads(text, as_version=4)) == notebook
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert all(output.get("name", "stdout") == "stdout" for output in outputs)
    words = [output.text for output in outputs if output.output_type == "stream"]
    words += [output.data["text/plain"] for output in outputs if "data" in output]
    words += [re.sub(r"base64,[^\"]*", "", html) for html in htmls(outputs)]
    assert [one for one in words if OTHER_PLACES.search(one)] == []
    assert notebook.cells[0].source.startswith("# ")
    assert json.loads(text)["nbformat"] == 4


def htmls(outputs) -> list[str]:
    return [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
