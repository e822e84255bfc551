"""A library's own text becomes HTML that runs nothing, fetches nothing and stays in its place."""

import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pypi_simple
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3index import readme

MARKDOWN = """\
# Title

[![build](https://ci.example/badge.svg)](https://ci.example/) ![logo](https://cdn.example/logo.png)

| option | meaning |
|---|---|
| `times` | how often |

```python
import os  # a comment
```

- [x] done

[Usage](#title) <https://docs.example/> [mail](mailto:team@example.com)
"""
RESTRUCTURED = """\
Title
=====

A `link <https://docs.example/>`_.

.. image:: https://cdn.example/logo.png
   :alt: logo

.. code-block:: python

   import os
"""


class Seen(HTMLParser):
    """The elements of HTML, and their links, names, classes and attributes."""

    def __init__(self, html: str) -> None:
        """Parse HTML."""
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.names: list[str] = []
        self.classes: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.names += [value or "" for name, value in attrs if name == "id"]
        self.classes += [value or "" for name, value in attrs if name == "class"]
        self.attributes |= {(tag, name) for name, _ in attrs}


ALLOWED = {
    *(("a", name) for name in ("href", "rel", "id")),
    *(
        ("pre", "tabindex"),
        ("table", "tabindex"),
        ("span", "class"),
        ("ol", "start"),
        ("abbr", "title"),
    ),
    *(("td", "colspan"), ("td", "rowspan")),
}


def assert_harmless(html: str) -> Seen:
    """Assert that HTML runs and fetches nothing, and takes on neither the page's look nor names."""
    seen = Seen(html)
    assert not set(seen.tags) & {"script", "style", "img", "svg", "iframe", "form", "input", "link"}
    assert not set(seen.tags) & {"h1", "h2", "base", "meta", "object", "math", "video", "button"}
    assert {each for each in seen.attributes if each[1] != "id"} <= ALLOWED
    assert all(re.match(r"https?://|mailto:|#readme-", link) for link in seen.links), seen.links
    assert all(name.startswith("readme-") for name in seen.names), seen.names
    assert all(len(word) <= 3 for names in seen.classes for word in names.split()), seen.classes
    # pip and other clients that read HTML must find no files.
    page = pypi_simple.ProjectPage.from_html("acme-common", html, base_url="https://a.example/")
    assert not [each for each in page.packages if each.version]
    return seen


def test_markdown() -> None:
    html = readme.html(MARKDOWN, "text/markdown; charset=UTF-8; variant=GFM")
    seen = assert_harmless(html)
    assert "h3" in seen.tags
    assert seen.links == [
        "https://ci.example/",
        "https://cdn.example/logo.png",
        "#readme-user-content-title",
        "https://docs.example/",
        "mailto:team@example.com",
    ]
    assert 'id="readme-user-content-title"' in html
    assert '<span class="kn">import</span>' in html
    assert "☑" in html
    assert '<pre tabindex="0">' in html


def test_restructured_text() -> None:
    seen = assert_harmless(readme.html(RESTRUCTURED, "text/x-rst"))
    assert seen.tags[:1] != ["pre"]
    assert seen.links == ["https://docs.example/", "https://cdn.example/logo.png"]


@pytest.mark.parametrize("kind", ["text/plain", "text/x-unknown", None])
def test_plain_text_stays_as_it_is(kind: str | None) -> None:
    text = "a  <b> & 'c'\n  indented *text"
    assert readme.html(
        text, kind
    ) == f'<pre tabindex="0">{text.replace("&", "&amp;")}</pre>'.replace("<b>", "&lt;b&gt;")


def test_text_that_is_not_valid_in_its_markup_is_shown_as_plain_text() -> None:
    html = readme.html("Title\n==\n\n.. raw:: html\n\n   <script>alert(1)</script>\n", "text/x-rst")
    assert html.startswith("<pre")
    assert "&lt;script&gt;" in html


def test_no_configuration_of_docutils_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docutils.conf").write_text("[general]\nhalt_level: 1\nraw_enabled: yes\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    raw = ".. raw:: html\n\n   <b>bold</b>\n"
    assert "<b>" not in readme.html(raw, "text/x-rst")


HOSTILE = {
    "script": "<script>alert(1)</script>",
    "event handler": '<p onclick="alert(1)" style="top:0">x</p><img src=x onerror=alert(1)>',
    "script address": "[x](javascript:a) [y](JaVaScRiPt&colon;a) <a href=' javascript:a'>z</a>",
    "data address": "[x](data:text/html,<script>) ![y](data:image/svg+xml,<svg/onload=a>)",
    "svg": "<svg><script>alert(1)</script><a xlink:href='javascript:a'><text>x</text></a></svg>",
    "css": "<style>pre{display:none}</style><link rel=stylesheet href=//evil.example/x.css>",
    "cover": '<div class="command" id="install" style="position:fixed">pip install x</div>',
    "names of the page": '<p id="status">x</p><a name="search">y</a><input id="search">',
    "unclosed": "<div><div><details><b><a href='https://evil.example'><pre><table><td>",
    "closes the page": "</div></section></main></body></html><h1>acme-common 99</h1>",
    "comment": '<!-- serials {"acme-common": 9} --> <!-- --!> <script>alert(1)</script> -->',
    "base": "<base href='https://evil.example/'><meta http-equiv=refresh content='0;url=//evil'>",
    "form": "<form action=//evil.example><input name=password><button>Sign in</button></form>",
    "frame": "<iframe srcdoc='<script>alert(1)</script>'></iframe><object data=//evil></object>",
    "mutation": "<math><mtext><table><mglyph><style><img src onerror=a></style></table></math>",
    "wheel": "[x](https://evil.example/acme_common-99-py3-none-any.whl)",
    "sdist": "[x](https://evil.example/acme-common-99.tar.gz?a#b) [y](//a.example/b-9.zip)",
    "encoded wheel": "[x](https://evil.example/acme_common-99-py3-none-any%2Ewhl)",
    "host that ends like a file": "[x](https://acme-common-99.zip/) [y](https://acme-common-99.zip)",
    "egg": "[x](https://evil.example/x#egg=acme-common-99) [y](https://evil.example/#%65gg=a-9)",
    "relative wheel": "[x](acme_common-99-py3-none-any.whl) <a href='../x.tar.gz'>y</a>",
    "attributes for installers": (
        '<a href="https://a.example/x" data-requires-python="" data-yanked>x</a>'
    ),
}


@pytest.mark.parametrize("kind", ["text/markdown", "text/x-rst", "text/plain"])
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text(case: str, kind: str) -> None:
    assert_harmless(readme.html(HOSTILE[case], kind))


@given(
    st.lists(st.sampled_from([*"<>/\"'=&#[](){}!`*_~|: \n-abpi.", *HOSTILE.values()])).map("".join)
)
def test_any_text(text: str) -> None:
    for kind in ("text/markdown", "text/x-rst"):
        assert_harmless(readme.html(text, kind))


@pytest.mark.parametrize(
    "text",
    [
        ">" * 100_000,
        "- " * 100_000,
        "<div>" * 50_000,
        '<pre lang="x"><code>' * 10_000,
        "<blockquote>" * 20_000,
        "<div></x>" * 30_000,
        "<a-x>" * 50_000,
        "<li>" * 50_000,
        "<svg>" + "<a>" * 50_000,
        "<div><!--</div>-->" * 10_000,
        "".join(f"<b title={number}>" for number in range(200)) + "<p>x" * 50_000,
    ],
    ids=[
        "quotes",
        "lists",
        "div",
        "pre",
        "blockquote",
        "ends",
        "custom",
        "control",
        "svg",
        "comments",
        "formatting",
    ],
)
def test_text_that_would_take_minutes_or_gigabytes_is_shown_as_it_is(text: str) -> None:
    html = readme.html(text, "text/markdown")
    assert html == f'<pre tabindex="0">{escape(text, quote=False)}</pre>'


@pytest.mark.parametrize("text", ["*a **b " * 30_000, "[a](b" * 50_000, "x" + "*" * 200_000])
def test_long_text_in_markdown_is_rendered(text: str) -> None:
    assert readme.html(text, "text/markdown").startswith("<p>")


def test_text_that_is_too_long_is_not_shown() -> None:
    html = readme.html("x" * 5_000_000, "text/markdown")
    assert html == "<p>Not shown: it has 5,000,000 characters, and the limit is 300,000.</p>"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://example.com/a?b#c", "https://example.com/a?b#c"),
        ("http://example.com", "http://example.com"),
        ("mailto:team@example.com", "mailto:team@example.com"),
        ("ftp://example.com/", None),
        ("//example.com/", None),
        ("https://", None),
        ("https://[", None),
        ("docs/usage.md", None),
        ("file:///etc/passwd", None),
        ("https://example.com/a.whl/", None),
    ],
)
def test_links(address: str, shown: str | None) -> None:
    assert readme.link(address) == shown
