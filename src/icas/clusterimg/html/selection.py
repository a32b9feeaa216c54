"""Which images report.html shows as thumbnails, so that the page stays small, and making these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.clusterimg.cache.cache import cache_of
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.features.decoding import isolation_of
from icas.clusterimg.html.clusters import Group, groups_of
from icas.clusterimg.html.pairs import NextPairs
from icas.clusterimg.html.report_view import ReportView
from icas.clusterimg.html.thumbnails import BYTES, MOST, Thumbnail, make_thumbnails


def pictured(
    report: ReportView,
    near: NextPairs,
    images: Sequence[ImageRef],
    max_pixels: int,
    console: Console,
    known: Mapping[str, Thumbnail],
    share: int = 1,
) -> tuple[list[Group], dict[int, Thumbnail | None]]:
    """The groups of the page, and the thumbnails that they and the pairs show.

    There are at most `MOST` / `share` thumbnails of together at most `BYTES` / `share`: where the
    pictures of a folder pack badly, each cluster gets fewer. Those in `known`, by file, are not
    made again.

    Returns
    -------
    groups : list of Group
    thumbnails : dict of int to Thumbnail or None
        By place in the report; None where the file cannot be read any more.
    """
    most, room = MOST // share, BYTES // share
    groups = groups_of(report, most - near.thumbnails)
    chosen = _chosen(groups, near)
    thumbnails: dict[int, Thumbnail | None] = {
        image: known[report.files[image]] for image in chosen if report.files[image] in known
    }
    missing = [image for image in chosen if image not in thumbnails]
    paths = [images[image].path for image in missing]
    made = thumbnails_of(report.settings, paths, max_pixels, console)
    thumbnails |= zip(missing, made, strict=True)
    while (size := _size(groups, near, thumbnails)) > room:
        # Fewer thumbnails are always some of those that are there: shares only become smaller.
        most = min(most, _shown(groups, near)) * room // size
        groups = groups_of(report, max(0, most - near.thumbnails))
    return groups, {image: thumbnails[image] for image in _chosen(groups, near)}


def thumbnails_of(
    settings: Mapping[str, Any], paths: Sequence[Path], max_pixels: int, console: Console
) -> list[Thumbnail | None]:
    """A thumbnail of every file, read with the settings of a run."""
    jobs, isolation = settings.get("jobs"), isolation_of(settings)
    with cache_of(settings) as cache:
        return make_thumbnails(paths, max_pixels, jobs, console, isolation, cache)


def _chosen(groups: Sequence[Group], near: NextPairs) -> list[int]:
    """Images that get a thumbnail."""
    return sorted(near.images.union(*(group.pictured for group in groups)))


def _shown(groups: Sequence[Group], near: NextPairs) -> int:
    """Thumbnails on the page: an image of a pair is there again."""
    return near.thumbnails + sum(len(group.pictured) for group in groups)


def _size(
    groups: Sequence[Group], near: NextPairs, thumbnails: Mapping[int, Thumbnail | None]
) -> int:
    """Bytes of all thumbnails on the page."""
    shown = [image for group in groups for image in group.pictured]
    shown += [image for pair in (*near.linked, *near.apart) for image in (pair.a, pair.b)]
    found = (thumbnails[image] for image in shown)
    return sum(len(one.uri) for one in found if one is not None)
