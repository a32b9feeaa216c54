"""mkdocs hook: patterns in the nav, so that a new page is not forgotten.

``folder/*.md`` stands for the pages of that folder that no line of the nav names; where several
patterns fit a page, the longest takes it. A pattern or a group that stands for nothing is left out.
"""

from fnmatch import fnmatchcase
from posixpath import dirname


def on_files(files, config):
    pages = sorted(file.src_uri for file in files.documentation_pages())
    config.nav = expanded(config.nav, shared_out(pages, list(lines_of(config.nav))))
    return files


def lines_of(entries):
    """All pages and patterns that a nav names, however deep."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for value in entry.values():
            yield from [value] if isinstance(value, str) else lines_of(value)


def shared_out(pages, lines):
    """For each pattern its pages."""
    patterns = sorted((line for line in lines if "*" in line), key=len, reverse=True)
    result = {pattern: [] for pattern in patterns}
    for page in pages:
        taker = next((pattern for pattern in patterns if fits(page, pattern)), None)
        if taker and page not in lines:
            result[taker].append(page)
    return result


def fits(page, pattern):
    return dirname(page) == dirname(pattern) and fnmatchcase(page, pattern)


def expanded(entries, taken):
    """The nav with the pages in place of the patterns."""
    result = []
    for entry in entries:
        if isinstance(entry, str):
            result += taken.get(entry, [entry])
            continue
        [(title, value)] = entry.items()
        inside = value if isinstance(value, str) else expanded(value, taken)
        result += [{title: inside}] if inside else []
    return result
