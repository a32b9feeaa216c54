"""What the page reads of a report, and its jinja2 environment and filters."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.model_selection.search import ModelGroups
from icas.clusterimg.reference.scan import InReference
from icas.clusterimg.thresholds.sample import Sample
from icas.dataset.image_labels import ImageLabel
from icas.notebook.html import counted, similarity, visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


class ReportView(Protocol):
    """The attributes of `icas.ClusterReport` that are shown; documented there."""

    @property
    def dst(self) -> Path: ...
    @property
    def source(self) -> str: ...
    @property
    def written(self) -> bool: ...
    @property
    def method(self) -> str: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def threshold_reason(self) -> str: ...
    @property
    def files(self) -> Sequence[str]: ...
    @property
    def labels(self) -> Labels: ...
    @property
    def batch(self) -> Labels: ...
    @property
    def clusters(self) -> int: ...
    @property
    def outliers(self) -> int: ...
    @property
    def certificates(self) -> Sequence[Certificate]: ...
    @property
    def unreadable(self) -> Sequence[Unreadable]: ...
    @property
    def ignored(self) -> Sequence[str]: ...
    @property
    def comparisons(self) -> Mapping[str, int]: ...
    @property
    def candidates(self) -> Mapping[str, Any] | None: ...
    @property
    def seconds(self) -> Mapping[str, float]: ...
    @property
    def peak_memory_mb(self) -> float | None: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def sample(self) -> Sample | None: ...
    @property
    def models(self) -> Sequence[ModelGroups]: ...
    @property
    def names(self) -> Mapping[str, ImageLabel]: ...
    @property
    def reference(self) -> InReference | None: ...
    def summary(self) -> str: ...


def render(template: str, **context: Any) -> Markup:
    """A template of this package, filled in; every value is escaped unless it is markup."""
    from markupsafe import Markup

    return Markup(_environment().get_template(template).render(context))


def asset(name: str) -> Markup:
    """The style sheet or the script of the page."""
    from markupsafe import Markup

    file = resources.files(__package__).joinpath("templates", name)
    return Markup(file.read_text(encoding="utf-8"))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "about": about,
        "comma": "{:,}".format,
        "counted": counted,
        "four_digits": "{:.4g}".format,
        "general": "{:g}".format,
        "index": lambda value: f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}",
        "percent": lambda share: f"{100 * share:.2f}%",
        "room": lambda count: f"room{max(1, count)}" if count <= 6 else "whole",
        "setting": _setting,
        "sha256": _sha256,
        "short": short,
        "similarity": similarity,
        "three_digits": "{:.3g}".format,
    }
    return environment


def _sha256(content: str) -> str:
    """What the content security policy names the page's own script or style sheet by.

    A script that came in through a file name would not run even if it were not escaped.
    """
    digest = hashlib.sha256(f"\n{content}".encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def _setting(value: object, name: str) -> str:
    """The value of a setting, as text for people."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ("x" if name == "size" else ", ").join(map(str, value))
    if isinstance(value, int) and name != "seed":
        return f"{value:,}"
    return str(value)


def short(value: float) -> str:
    """A number as an axis label: 1k is a thousand, 1M a million, 1B a billion."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def about(value: float, exact: bool = False) -> str:
    """A count: whole, and of two significant digits where it is an expectation."""
    if not exact and value >= 100:
        scale = 10 ** (math.floor(math.log10(value)) - 1)
        return f"{round(value / scale) * scale:,}"
    return f"{round(value):,}"
