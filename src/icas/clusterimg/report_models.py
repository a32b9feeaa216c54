"""The part of report.html that tells which models were tried, and which was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan

from icas.clusterimg.deep.choice import Tried
from icas.clusterimg.deep.grouping import ModelGroups
from icas.clusterimg.outcome import ClusterReport
from icas.common.markup import counted, text

BATCHES = 50
"""Tables shown; models.csv has them all."""
ROWS = 100
"""Models shown of one batch, the best first."""
HEADINGS = (
    "Model",
    "Clusters",
    "Outliers",
    "Silhouette",
    "Davies-Bouldin",
    "Calinski-Harabasz",
    "Mean rank",
)


def models_section(report: ClusterReport) -> str:
    """The section, from its heading on; empty where images were grouped by links."""
    if not report.models:
        return ""
    return (
        '<section aria-labelledby="models"><h2 id="models">Models</h2>'
        '<p class="legend">Every model was judged by three indexes; the one with the best mean of'
        " its three ranks was taken. Silhouette and Calinski-Harabasz are better high,"
        f" Davies-Bouldin low.</p>{''.join(_tables(report))}</section>"
    )


def _tables(report: ClusterReport) -> Iterator[str]:
    batches = int(report.batch.max(initial=0)) + 1
    single = len(report.models) == 1
    for number, groups in enumerate(report.models[:BATCHES]):
        name = f"Batch {number}" if number < batches else "Representatives of all batches"
        table = _table(groups)
        chosen = f"{name}: {groups.chosen.words()}"
        yield (
            f'<div class="card group">{table}</div>'
            if single
            else f'<details class="card group"><summary>{text(chosen)}</summary>{table}</details>'
        )
    if len(report.models) > BATCHES:
        more = counted(len(report.models) - BATCHES, "more table")
        yield f'<p class="quiet">{more} in models.csv.</p>'


def _table(groups: ModelGroups) -> str:
    order = sorted(groups.tried, key=lambda one: (isnan(one.rank), one.rank, one.clusters))
    heads = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
    rows = "".join(_row(one, one is groups.chosen) for one in _chosen_first(order, groups.chosen))
    more = f'<p class="quiet">{len(order) - ROWS:,} more in models.csv.</p>'
    return (
        f'<div class="scroll"><table class="numbers"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{more if len(order) > ROWS else ''}"
    )


def _chosen_first(order: Sequence[Tried], chosen: Tried) -> Iterator[Tried]:
    yield chosen
    yield from [one for one in order if one is not chosen][: ROWS - 1]


def _row(one: Tried, chosen: bool) -> str:
    badge = ' <em class="tag">chosen</em>' if chosen else ""
    note = f'<br><span class="quiet">{text(one.note)}</span>' if one.note else ""
    numbers = (one.silhouette, one.davies_bouldin, one.calinski_harabasz, one.rank)
    cells = "".join(f"<td>{_number(value)}</td>" for value in numbers)
    return (
        f"<tr{' class=chosen' if chosen else ''}>"
        f'<td class="name">{text(one.words())}{badge}{note}</td>'
        f"<td>{one.clusters:,}</td><td>{one.outliers:,}</td>{cells}</tr>"
    )


def _number(value: float) -> str:
    return "–" if isnan(value) else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
