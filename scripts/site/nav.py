"""mkdocs hook: patterns in the nav.

``folder/*.md`` matches the pages of that folder that no other line of the nav names. If several
patterns match a page, the longest one wins. Patterns and groups without pages are left out.
"""

from fnmatch import fnmatchcase
from posixpath import dirname


def on_files(files, config):
    pages = sorted(file.src_uri for file in files.documentation_pages())
    config.nav = expanded(config.nav, matches(pages, list(lines_of(config.nav))))
    return files


def lines_of(entries):
    """All pages and patterns of a nav, of all levels."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for value in entry.values():
            yield from [value] if isinstance(value, str) else lines_of(value)


def matches(pages, lines):
    """The pages of each pattern."""
    patterns = sorted((line for line in lines if "*" in line), key=len, reverse=True)
    result = {pattern: [] for pattern in patterns}
    for page in pages:
        longest = next((pattern for pattern in patterns if fits(page, pattern)), None)
        if longest and page not in lines:
            result[longest].append(page)
    return result


def fits(page, pattern):
    return dirname(page) == dirname(pattern) and fnmatchcase(page, pattern)


def expanded(entries, matched):
    """The nav with patterns replaced by their pages."""
    result = []
    for entry in entries:
        if isinstance(entry, str):
            result += matched.get(entry, [entry])
            continue
        [(title, value)] = entry.items()
        inside = value if isinstance(value, str) else expanded(value, matched)
        result += [{title: inside}] if inside else []
    return result
