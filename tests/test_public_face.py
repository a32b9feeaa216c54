"""The public face: what `import icas` shows, and whether its docstrings are there and true."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import icas
from icas.cli.options import options_of
from icas.clusterimg.methods import METHODS, method_class
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.training.settings import TrainSettings
from icas.segmentimg.segmenters import SEGMENTERS, segmenter_class

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "api.md"
NAMES = sorted(set(icas.__all__) - {"__version__"})
ELSEWHERE = {"show"}
"""Names whose own tests look into their docstrings."""
NO_OPTION_OF_THEIR_OWN = {"size", "seed", "device"}
"""Settings of a run that methods have too; they stand once, among the settings."""


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that icas itself defines."""
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == "icas":
            for name, value in vars(base).items():
                if not name.startswith("_") and not _is_plain(value):
                    yield name, value


def _is_plain(value: Any) -> bool:
    return not (callable(value) or isinstance(value, (property, classmethod, staticmethod)))


def _documented() -> Iterator[tuple[str, Any]]:
    """Every public name, and every public member of every public class, with its object."""
    for name in NAMES:
        value = getattr(icas, name)
        yield name, value
        if inspect.isclass(value):
            for member, one in _members(value):
                yield f"{name}.{member}", getattr(one, "__func__", one)


DOCUMENTED = dict(_documented())


def _sections(value: Any) -> dict[str, str]:
    """The parts of a numpydoc docstring; what comes first is called ``Summary``."""
    text = inspect.getdoc(value) or ""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", "Summary\n---\n" + text, flags=re.M)
    return {name: body.strip("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _entries(section: str) -> dict[str, str]:
    """Name -> type, of a section that lists parameters or attributes."""
    found = {}
    for names, kind in re.findall(r"^(\S[^:\n]*?)(?: : (.*))?$", section, flags=re.M):
        for name in names.split(","):
            found[name.strip()] = kind
    return found


def _default(kind: str) -> Any:
    """What a type says of the default: a value, or None where it says it in words or not at all."""
    said = re.search(r"default (.+)$", kind)
    if said is None:
        first = re.match(r"\{(.+?)[,}]", kind)  # of choices the first one
        return ast.literal_eval(first.group(1)) if first else None
    try:
        return ast.literal_eval(re.sub(r"(?<=\d),(?=\d)", "", said.group(1)))
    except (SyntaxError, ValueError):
        return None


def _same(said: Any, real: Any) -> bool:
    return said is None or said == real or (said == {} and real is not None)


# what `import icas` shows


def test_dir_is_the_face_whatever_is_loaded() -> None:
    assert dir(icas) == sorted(icas.__all__)
    for name in icas.__all__:
        getattr(icas, name)
    assert dir(icas) == sorted(icas.__all__)
    assert icas.__all__ == sorted(icas.__all__)


def test_star_gives_the_face() -> None:
    room: dict[str, Any] = {}
    exec("from icas import *", room)
    assert sorted(room.keys() - {"__builtins__"}) == sorted(icas.__all__)


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="No icas attribute clusters"):
        icas.clusters  # type: ignore[attr-defined]  # noqa: B018


def test_the_face_costs_nothing_until_it_is_used() -> None:
    code = (
        "import sys, icas; dir(icas); heavy = {'numpy', 'cv2', 'skimage', 'matplotlib', 'torch',"
        " 'scipy', 'PIL', 'tqdm'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_editors_complete_the_face() -> None:
    jedi = pytest.importorskip("jedi", reason="jedi completes as editors do")
    code = "import icas\nicas."
    project = jedi.Project(ROOT, sys_path=[str(ROOT / "src"), *sys.path])
    found = {one.name for one in jedi.Script(code, project=project).complete(2, 5)}
    shown = {name for name in found if not name.startswith("_")}
    rooms = {one.name for one in (ROOT / "src" / "icas").iterdir() if one.is_dir()}
    assert shown - rooms == set(NAMES)  # packages are known to editors by their folders


# docstrings


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring_has_its_sections(name: str) -> None:
    value = DOCUMENTED[name]
    sections = _sections(value)
    summary = sections["Summary"].split("\n")
    assert summary[0], f"{name} has no docstring"
    assert summary[0].endswith((".", ":")), summary[0]
    assert len(summary) == 1 or summary[1] == ""
    if isinstance(value, property):
        assert re.match(r"[\w(][^:]*: ", summary[0]) or name.partition(".")[0] in ELSEWHERE
        return
    if inspect.isclass(value) or "." not in name:
        assert "Examples" in sections
    if not inspect.isclass(value) and inspect.signature(value).return_annotation != "None":
        assert {"Returns", "Yields"} & sections.keys()
    if "." not in name and not inspect.isclass(value) and name not in ELSEWHERE:
        assert "Raises" in sections


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring_has_the_parameters_of_the_signature(name: str) -> None:
    value = DOCUMENTED[name]
    if isinstance(value, property) or _is_made_by_icas(value):
        return
    given = [one for one in inspect.signature(value).parameters.values() if one.name != "self"]
    given = [one for one in given if one.name != "cls" or inspect.isclass(value)]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    said = _entries(_sections(value).get("Parameters", ""))
    assert list(said) == [stars.get(one.kind, "") + one.name for one in given]
    for one in given:
        kind = said[stars.get(one.kind, "") + one.name]
        if one.default not in (inspect.Parameter.empty, None) and kind != "ignored":
            assert "default" in kind or kind.startswith("{"), f"{one.name}: no default"
            assert _same(_default(kind), one.default), f"{one.name}: {kind}"


def _is_made_by_icas(value: Any) -> bool:
    """Whether users get, but do not make, objects of this class; then its attributes count."""
    return inspect.isclass(value) and "Parameters" not in _sections(value)


@pytest.mark.parametrize("name", [n for n in NAMES if dataclasses.is_dataclass(getattr(icas, n))])
def test_docstring_has_the_fields_of_the_class(name: str) -> None:
    cls = getattr(icas, name)
    said = _entries(_sections(cls)["Attributes"])
    assert list(said) == [field.name for field in dataclasses.fields(cls)]


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        (name, member)
        for name in NAMES
        if inspect.isclass(getattr(icas, name))
        for member, value in _members(getattr(icas, name))
        if not isinstance(value, property)
    ],
)
def test_method_is_shown_at_work(name: str, attribute: str) -> None:
    cls = getattr(icas, name)
    own = _sections(inspect.getattr_static(cls, attribute)).get("Examples", "")
    shown = own + _sections(cls)["Examples"]
    if (name, attribute) not in UNSHOWN:
        assert re.search(rf"\b{attribute}\(", shown)


UNSHOWN = {
    ("PaintDocument", name)
    for name in ("begin_stroke", "end_stroke")  # `stroke` is both
}


@pytest.mark.parametrize(
    ("name", "settings"), [("cluster", ClusterSettings), ("train", TrainSettings)]
)
def test_other_parameters_are_the_settings(name: str, settings: type) -> None:
    said = _entries(_sections(getattr(icas, name))["Other Parameters"])
    own = inspect.signature(getattr(icas, name)).parameters
    real = {name: one for name, one in options_of(settings).items() if name not in own}
    assert said.keys() == real.keys()
    for setting, (default, option) in real.items():
        kind = said[setting]
        assert _same(_default(kind), default) or _in_bytes(kind, default), f"{setting}: {kind}"
        assert _choices(kind) == tuple(option.choices), setting


def _in_bytes(kind: str, default: Any) -> bool:
    from icas.clusterimg.data.memory import memory_of

    return isinstance(default, int) and memory_of(_default(kind)) == default


def _choices(kind: str) -> tuple[str, ...]:
    found = re.match(r"\{(.+?)\}", kind)
    return tuple(re.findall(r'"(.+?)"', found.group(1))) if found else ()


@pytest.mark.parametrize(
    ("name", "table", "load", "elsewhere"),
    [
        ("cluster", METHODS, method_class, NO_OPTION_OF_THEIR_OWN),
        ("segment", SEGMENTERS, segmenter_class, set()),
    ],
)
def test_notes_list_the_options_of_every_method(
    name: str, table: dict[str, Any], load: Callable[[str], type], elsewhere: set[str]
) -> None:
    notes = _sections(getattr(icas, name))["Notes"]
    items = re.findall(r"^- (\w+): ((?:.|\n  )*)", notes, flags=re.M)
    assert [method for method, _ in items] == [m for m in _in_order(items) if m in table]
    assert {method for method, _ in items} == set(table)
    for method, said in items:
        real = options_of(load(method))
        listed = dict(re.findall(r"``(\w+)=(.+?)``", said))
        assert listed.keys() == real.keys() - elsewhere, method
        for option, text in listed.items():
            default = real[option][0]
            near = pytest.approx(default, rel=1e-3) if isinstance(default, float) else default
            assert ast.literal_eval(text) == near, f"{method} {option}"
        for option, (default, details) in real.items():
            others = [choice for choice in details.choices if choice != default]
            if option in listed and default is not None and others:
                assert all(f"``{one}``" in said for one in others), f"{method} {option}"


def _in_order(items: list[tuple[str, str]]) -> list[str]:
    return list(dict(items))


# examples and claims


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "train" and not (find_spec("torch") and find_spec("torchvision")):
        pytest.skip("training needs torch")
    cases = doctest.DocTestFinder().find(getattr(icas, name), name, globs={})
    cases = [case for case in cases if case.examples]
    assert cases
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        told: list[str] = []
        doctest.DocTestRunner().run(case, out=told.append)
        assert not told, "".join(told)


GRAY = np.zeros((20, 30), np.uint8)
RGB = np.zeros((20, 30, 3), np.uint8)
ONE = np.ones((20, 30), np.int32)

WRONG: dict[str, Callable[[], Any]] = {
    "AskSession.apply": lambda: icas.ask("no such folder").apply(),
    "FeatureSet": lambda: icas.FeatureSet("tm", {"a": GRAY, "b": GRAY[1:]}),
    "FeatureSet.from_bits": lambda: icas.FeatureSet.from_bits(np.zeros(4, np.uint8)),
    "FeatureSet.from_parquet": lambda: icas.FeatureSet.from_parquet("no such file"),
    "FeatureSet.to_parquet": lambda: icas.features([RGB], method="tm").to_parquet("."),
    "Forest.from_parquet": lambda: icas.Forest.from_parquet("no such file"),
    "ImageClusterer.fit": lambda: icas.ImageClusterer(merge="none").fit([RGB, RGB]),
    "ImageClusterer.fit_predict": lambda: icas.ImageClusterer("tm", batch_size=1).fit_predict(
        [RGB]
    ),
    "add": lambda: icas.add("no such folder", "new"),
    "ask": lambda: icas.ask("no such folder"),
    "PaintServer.masks": lambda: _second_of_one(),
    "paint": lambda: icas.paint("no such folder"),
    "review": lambda: icas.review("no such folder"),
    "audit": lambda: icas.audit("no such folder"),
    "MergeTree.table": lambda: icas.merge_tree(RGB, ONE).table(0),
    "PaintDocument": lambda: icas.PaintDocument(RGB, ONE[1:]),
    "PaintDocument.add_colors": lambda: _document().add_colors([(0, 0, 256)]),
    "PaintDocument.brush": lambda: _document().brush(0, 0, 1, (0, 0, -1)),
    "PaintDocument.fill": lambda: _document().fill(0, 0, (0, 300, 0)),
    "PaintDocument.fill_segments": lambda: _document().fill_segments([2], None),
    "PaintDocument.new_object": lambda: _document().new_object((0, 0, 256)),
    "PaintDocument.replace_colors": lambda: _document().replace_colors([], [1]),
    "PaintDocument.restored": lambda: icas.PaintDocument.restored(RGB[1:], _document().state()),
    "PaintDocument.stamp_objects": lambda: _document().stamp_objects(
        [((0, 0, 256), ONE > 0, (0, 0))]
    ),
    "PaintDocument.stamp": lambda: _document().stamp(ONE[1:] > 0, None),
    "PaintDocument.take_over": lambda: _document().take_over(ONE),
    "Template": lambda: icas.Template("a", RGB, ONE > 0, RGB, ONE > 1),
    "cannot_link": lambda: icas.cannot_link("nowhere", "a.jpg", "b.jpg"),
    "cluster": lambda: icas.cluster("nowhere", threshold=2),
    "cluster_shards": lambda: icas.cluster_shards("nowhere"),
    "decide": lambda: icas.decide("nowhere", "list"),
    "estimate": lambda: icas.estimate(10, 20, 5, 0.5),
    "evaluate": lambda: icas.evaluate([0], ["cup", "sky"]),
    "export": lambda: icas.export("nowhere", "dataset", split={"train": 0.5}),
    "export_instances": lambda: icas.export_instances("nowhere", "set"),
    "features": lambda: icas.features("nowhere"),
    "find_images": lambda: icas.find_images("nowhere"),
    "grabcut": lambda: icas.grabcut(RGB),
    "import_instances": lambda: icas.import_instances("nowhere", "photos"),
    "kmeans_colors": lambda: icas.kmeans_colors(RGB, 0),
    "label": lambda: icas.label("nowhere", {"cluster_0": "cat"}),
    "labels_at": lambda: icas.labels_at(3, 0.5),  # type: ignore[call-overload]
    "links": lambda: icas.links(icas.features([RGB, RGB]), 0.5, executor="none"),
    "make_template": lambda: icas.make_template(RGB, color=(0, 0, 256)),
    "merge_tree": lambda: icas.merge_tree(RGB, ONE[1:]),
    "must_link": lambda: icas.must_link("nowhere", "a.jpg", "b.jpg"),
    "paint_templates": lambda: icas.paint_templates(RGB, []),
    "pick_threshold": lambda: icas.pick_threshold("nowhere"),
    "best": lambda: icas.best("nowhere"),
    "Propagation.accept": lambda: _propagated().accept(2),
    "Propagation.correct": lambda: _propagated().correct(0, ONE[1:] > 0),
    "Propagation.reject": lambda: _propagated().reject(-1),
    "propagate": lambda: icas.propagate([RGB], {}),
    "quality": lambda: icas.quality("nowhere"),
    "recut": lambda: icas.recut("nowhere", 1.5),
    "reject": lambda: icas.reject("nowhere", 0),
    "segment": lambda: icas.segment(RGB.astype(int)),
    "similarity_matrix": lambda: icas.similarity_matrix([RGB], method="none"),
    "split": lambda: icas.split("nowhere", "seven"),
    "to_parquet": lambda: icas.to_parquet("no such folder", "out"),
    "train": lambda: icas.train("nowhere", epochs=0),
    "undo": lambda: icas.undo("nowhere"),
}
"""A call for each docstring that says ``UsageError``."""


def _propagated() -> icas.Propagation:
    return icas.propagate([RGB, RGB], {0: ONE > 0})


def _second_of_one() -> Any:
    with icas.paint(RGB) as server:
        return server.masks(1)


def _document() -> icas.PaintDocument:
    return icas.PaintDocument(RGB, ONE)


def test_every_usage_error_that_is_documented_has_a_call() -> None:
    said = {name for name, value in DOCUMENTED.items() if _says_usage_error(value)}
    assert said - ELSEWHERE == set(WRONG)


def _says_usage_error(value: Any) -> bool:
    return "UsageError" in _sections(value).get("Raises", "")


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(icas.UsageError) as told:
        WRONG[name]()
    assert "\n" not in str(told.value)


def test_errors_are_what_they_say() -> None:
    assert {icas.UsageError.exit_code, icas.MissingExtraError.exit_code} == {2}
    rest = (icas.IcasError, icas.ConflictError, icas.UnreadableImageError)
    assert {one.exit_code for one in rest} == {1}
    assert issubclass(icas.UsageError, ValueError)
    assert issubclass(icas.MissingExtraError, ImportError)
    assert issubclass(icas.UnreadableImageError, OSError)


NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)

ARRAYS: dict[str, tuple[Callable[[], Any], tuple[int, ...], str]] = {
    "ImageClusterer.labels_": (lambda: _fitted().labels_, (3,), "int64"),
    "ImageClusterer.medoids_": (lambda: _fitted().medoids_, (1,), "int64"),
    "ImageClusterer.links_": (lambda: _fitted().links_["similarity"], (1,), "float32"),
    "KMeansColors.labels": (lambda: icas.kmeans_colors(NOISE, 3).labels, (24, 32), "int32"),
    "KMeansColors.centres": (lambda: icas.kmeans_colors(NOISE, 3).centres, (3, 3), "float64"),
    "KMeansColors.picture": (lambda: icas.kmeans_colors(NOISE, 3).picture, (24, 32, 3), "uint8"),
    "MergeTree.merges": (lambda: _tree().merges, (1, 4), "float64"),
    "MergeTree.table": (lambda: _tree().table(1), (3,), "int32"),
    "PaintDocument.class_map": (lambda: _document().class_map(), (20, 30), "int16"),
    "PaintDocument.classes": (lambda: _document().classes, (2,), "int16"),
    "PaintDocument.codes_of": (lambda: _document().codes_of(np.s_[:]), (20, 30), "int32"),
    "PaintDocument.instance_map": (lambda: _document().instance_map(), (20, 30), "uint16"),
    "PaintDocument.first": (lambda: _document().first, (20, 30), "int32"),
    "TemplatePaint.owner": (lambda: _painted().owner, (24, 32), "int32"),
    "TemplatePaint.painted": (lambda: _painted().painted, (24, 32), "int32"),
    "grabcut": (lambda: icas.grabcut(NOISE, box=(4, 4, 20, 20)), (24, 32), "bool"),
    "labels_at": (lambda: icas.labels_at(_fitted().forest_, 1.0), (3,), "int64"),
    "labels_at of a tree": (lambda: icas.labels_at(_tree(), 1), (24, 32), "int32"),
    "links": (lambda: icas.links(icas.features([NOISE, NOISE]), 1)["a"], (1,), "int64"),
    "segment": (lambda: icas.segment(NOISE), (24, 32), "int32"),
    "segment of gray": (lambda: icas.segment(NOISE[..., 0], "graph"), (24, 32), "int32"),
    "similarity_matrix": (
        lambda: icas.similarity_matrix([NOISE, NOISE], [NOISE]),
        (2, 1),
        "float32",
    ),
}


def _fitted() -> icas.ImageClusterer:
    other = np.full((24, 32, 3), 255, np.uint8)
    return icas.ImageClusterer("tm", threshold=0.9).fit([NOISE, NOISE, other])


def _tree() -> icas.MergeTree:
    return icas.merge_tree(NOISE, np.repeat([[1] * 16 + [2] * 16], 24, axis=0).astype(np.int32))


def _painted() -> icas.TemplatePaint:
    return icas.paint_templates(NOISE, [NOISE[:8, :8]], threshold=None)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_have_the_shape_and_dtype_that_is_documented(name: str) -> None:
    make, shape, dtype = ARRAYS[name]
    found = make()
    assert (found.shape, str(found.dtype)) == (shape, dtype)
    assert dtype in _where_documented(name.partition(" ")[0])


def _where_documented(name: str) -> str:
    """The docstring that tells of an array: its own, or of an attribute the class's."""
    if name in DOCUMENTED:
        return inspect.getdoc(DOCUMENTED[name]) or ""
    cls, _, attribute = name.partition(".")
    text = inspect.getdoc(DOCUMENTED[cls]) or ""
    found = re.search(rf"^{attribute} : (?:.*\n(?: {{4}}.*\n)*)", text, re.M)
    return found.group() if found else ""


# the page


def test_the_page_shows_every_name_once() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: icas\.(\w+)$", text, flags=re.M)) == NAMES
    assert set(re.findall(r"\[icas\.(\w+)\]", text)) <= set(NAMES)
