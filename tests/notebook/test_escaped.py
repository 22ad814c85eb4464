"""Foreign text in Markdown is shown as it is."""

import re

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from miii.errors import LONGEST
from miii.expression import EXAMPLE
from miii.notebook.cells import JOINER, escaped, unescaped

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"]).use(dollarmath_plugin)
FOREIGN = [
    EXAMPLE,
    "a**2 + b*(a - 1) # 3",
    "train_fraction must be at least 0.01 (got _5_ and __init__).",
    "![x](http://evil.test/p.png) [Sign in again](http://evil.test)",
    "see https://evil.test, www.evil.test, me@evil.test or mailto:me@evil.test",
    ":material/home: :material_home: :smile: :red[red] :small[x] :help[x] ::: 12:30",
    "$x$ $$y$$ \\(z\\) \\[w\\] \\$ back\\slash `code` ``two`` ~~gone~~ ~one~",
    "<b>bold</b> <script> &lt; &#33; <http://evil.test> [a]: http://evil.test",
    *("# heading", "- item", "+ item", "* item", "1. one", "12) twelve", "> quote", "---", "===", "| a | b |", "    x"),
]
#: What Streamlit and GitHub look for in the finished text, where no backslash protects it.
FOUND_LATER = re.compile(r"https?://|www\.|[\w.+-]@|:[\w+-]+:|:material[/_]|:[a-z]")


def test_it_is_shown_as_it_is_wherever_it_stands():
    for plain in FOREIGN:
        line = escaped(plain)
        assert unescaped(line) == plain.strip()
        for before, after in (("", ""), ("Our own **words**: ", " and more.")):
            rendered = MARKDOWN.parse(f"{before}{line}{after}")
            assert [token.type for token in rendered] == ["paragraph_open", "inline", "paragraph_close"], plain
            shown = rendered[1].children or []
            ours = 4 if before else 0  # the words before, in bold
            assert {child.type for child in shown[ours:]} <= {"text", "text_special"}, plain
            text = "".join(child.content for child in shown)
            assert text.replace(JOINER, "") == before.replace("**", "") + plain.strip() + after, plain
            assert not FOUND_LATER.search(text[len(before) :]), plain
    assert JOINER not in escaped(EXAMPLE)  # it can be copied
    assert escaped("a\r\n\r\n# b\x00\u2028c\u202ed") == "a    # b  c d"
    assert len(escaped("*" * 3_000_000)) <= 2 * LONGEST
    assert escaped("x" * 50, length=9) == "xxxx…xxxx"
