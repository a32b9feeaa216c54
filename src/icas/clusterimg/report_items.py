"""How report.html shows one image: thumbnail, name, and a link to where the run puts it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from icas.clusterimg.thumbnails import Thumbnail
from icas.common.markup import text


@dataclass(frozen=True)
class Pictures:
    """What the page shows of single images, by their place in the report.

    Attributes
    ----------
    files : sequence of str
    thumbnails : mapping of int to Thumbnail or None
        None where the file could not be read any more.
    targets : mapping of int to PurePosixPath
        Where the image itself will lie, relative to the page.
    """

    files: Sequence[str]
    thumbnails: Mapping[int, Thumbnail | None]
    targets: Mapping[int, PurePosixPath]


def item(
    image: int, *, pictures: Pictures, medoid: str | None = None, pictured: bool = True
) -> str:
    """One image: its name, and its thumbnail if it is `pictured`."""
    file = pictures.files[image]
    badge = '<em class="badge">medoid</em>' if file == medoid else ""
    name = f'<span class="name">{text(file)}</span>'
    if pictured:
        shown = picture(pictures.thumbnails[image], file)
        content = f'<span class="picture">{shown}{badge}</span>{name}'
        title = f' title="{text(file)}"'
    else:
        content, title = name + badge, ""
    if image not in pictures.targets:
        return f'<li class="file"><span{title}>{content}</span></li>'
    href = text(quote(os.fsencode(pictures.targets[image])))
    return f'<li class="file"><a href="{href}"{title}>{content}</a></li>'


def picture(thumbnail: Thumbnail | None, file: str) -> str:
    """The thumbnail of a file, or a word where it has none."""
    if thumbnail is None:
        return '<span class="blank">cannot be read any more</span>'
    return (
        f'<img src="{thumbnail.uri}" width="{thumbnail.width}" height="{thumbnail.height}"'
        f' alt="Thumbnail of {text(file)}" loading="lazy" decoding="async">'
    )
