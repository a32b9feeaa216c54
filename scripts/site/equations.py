"""mkdocs hook: convert equations to MathML when the site is built, without scripts and fonts.

The syntax is that of GitHub: a fence of the language ``math``, or ``$`a + b`$`` in a line.
"""

import re

from latex2mathml.converter import convert

FENCE = re.compile(r"^(?P<indent> *)```math\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"\$`([^`\n]+)`\$")


def on_page_markdown(markdown, **_):
    return INLINE.sub(inline, FENCE.sub(block, markdown))


def block(found):
    formula = convert(" ".join(found["text"].split()), display="block")
    return f'{found["indent"]}<div class="equation" markdown="0">{formula}</div>'


def inline(found):
    return f'<span class="formula" markdown="0">{convert(found[1])}</span>'
