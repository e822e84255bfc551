"""Render a library's own text as HTML that runs nothing, fetches nothing and stays in its place.

readme-renderer, which PyPI trusts with strangers' READMEs, converts Markdown, reStructuredText or
plain text to HTML and sanitizes it. In addition, images become links here, anchors and classes
cannot clash with the page's, and installers that read HTML cannot mistake a link for a
distribution.
"""

import re
from html import escape
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nh3
from readme_renderer import markdown

LONGEST = 300_000
"""Maximum length of a text, in characters; PyPI's longest READMEs are about as long."""
LONGEST_RST = 100_000
"""Maximum length of rendered reStructuredText, in characters: docutils takes seconds for more."""
DEEPEST = 500
"""Maximum nesting of lists and quotes; rendering time is quadratic in it."""
MOST_BLOCKS = 20_000
"""Lines and tags of Markdown; sanitizing 75,000 takes 15 s."""
MOST_ELEMENTS = 1_000_000
"""Maximum elements that raw HTML in Markdown may become; sanitizing that many takes 300 MB."""

_TAG = re.compile(r"<[a-z]", re.IGNORECASE)
_NESTING = re.compile(r"<(?!(?:a|p|li|d[dt]|t[dhr]|img|br|hr|input|source)\b)[a-z]", re.IGNORECASE)
"""The start tag of an element that another of its kind does not close."""
_MARKERS = re.compile(rf"^[ \t>*+\-\d.)]{{{DEEPEST},}}", re.MULTILINE)
"""A line that opens quotes and lists nested too deeply."""
_HEADINGS = {f"h{level}": f"h{min(level + 2, 6)}" for level in range(1, 7)}
_TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "dd", "del", "details"),
    *("div", "dl", "dt", "em", "h3", "h4", "h5", "h6", "hr", "i", "kbd", "li", "ol", "p", "pre"),
    *("span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr"),
    *("tt", "ul", "var"),
}
_ATTRIBUTES = {
    "*": {"id"},
    "a": {"href"},
    "abbr": {"title"},
    "ol": {"start"},
    "span": {"class"},
    "td": {"colspan", "rowspan"},
}
_PYGMENTS = re.compile(r"[a-z][a-z0-9]{0,2}")
"""Pygments' short class names. The page's own are longer."""
_DISTRIBUTION = re.compile(
    r"\.(whl|egg|exe|zip|tar|tgz|tbz2?|txz|tlz|tar\.[a-z0-9]+|gz|bz2|xz|lz|lzma|rpm|deb)/*\Z",
    re.IGNORECASE,
)


def html(text: str, content_type: str | None) -> str:
    """Return text as sanitized HTML; its headings start at the third level.

    `content_type` is the Description-Content-Type of core metadata; text that is invalid in its
    markup, or too long for it, is shown as plain text.
    """
    if len(text) > LONGEST:
        return f"<p>Not shown: it has {len(text):,} characters, and the limit is {LONGEST:,}.</p>"
    kind, _, parameters = (content_type or "text/x-rst").partition(";")
    kind = kind.strip().lower()
    rendered = None
    if kind == "text/markdown" and not _is_deep(text):
        variant = "CommonMark" if "commonmark" in parameters.lower() else "GFM"
        rendered = markdown.render(text, variant=variant)
    elif kind == "text/x-rst" and len(text) <= LONGEST_RST:
        rendered = _restructured(text)
    if rendered is None:
        rendered = f"<pre>{escape(text)}</pre>"
    rewriter = _Rewriter()
    rewriter.feed(rendered)
    rewriter.close()
    return nh3.clean(
        rewriter.html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        # Content that scrolls sideways has to be reachable by keyboard.
        set_tag_attribute_values={tag: {"tabindex": "0"} for tag in ("pre", "table")},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
    )


def link(address: str) -> str | None:
    """Return an address if a page may link to it, else None.

    Web and mail links are allowed unless pip could take the address for a distribution: by its
    extension, which pip reads from the host if the path is empty, or by a fragment with `egg=`.
    """
    try:
        parts = urlsplit(address.strip())
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https", "mailto") or bool(host) == (parts.scheme == "mailto"):
        return None
    if "egg=" in unquote(parts.fragment).lower():
        return None
    place = parts.path if parts.path.strip("/") else parts.netloc
    return None if _DISTRIBUTION.search(unquote(place)) else parts.geturl()


def _is_deep(text: str) -> bool:
    """Return whether text nests so deeply that rendering it would take minutes, or gigabytes.

    An element left open, such as <b>, is reopened in each block that follows. End tags are not
    counted: a comment or an attribute can contain one that closes nothing.
    """
    blocks = text.count("\n") + len(_TAG.findall(text))
    nested = len(_NESTING.findall(text))
    if blocks > MOST_BLOCKS or nested * blocks > MOST_ELEMENTS:
        return True
    return bool(_MARKERS.search(text))


def _restructured(text: str) -> str | None:
    # Importing docutils is slow, and only reStructuredText needs it.
    from readme_renderer import rst

    # Read no docutils.conf from the repository, the home directory or the machine.
    rst.SETTINGS["_disable_config"] = True
    try:
        return rst.render(text)
    except Exception:  # noqa: BLE001  # docutils can raise anything
        return None


class _Rewriter(HTMLParser):
    """Rewrites readme-renderer's HTML; nh3 sanitizes the result."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._out: list[str] = []
        self._link: tuple[int, str | None, str | None] | None = None
        """The open link's position in the output, its address and its id."""

    @property
    def html(self) -> str:
        return "".join(self._out)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("id"):
            given["id"] = f"readme-{given['id']}"
        if tag == "a":
            self._link = (len(self._out), _href(given.get("href", "")), given.get("id"))
        elif tag == "img":
            self._image(given)
        elif tag == "input":
            self._out.append("☑ " if "checked" in given else "☐ ")
        else:
            classes = [word for word in given.pop("class", "").split() if _PYGMENTS.fullmatch(word)]
            if classes:
                given["class"] = " ".join(classes)
            self._out.append(_start(_HEADINGS.get(tag, tag), given))

    def handle_endtag(self, tag: str) -> None:
        if tag != "a":
            self._out.append(f"</{_HEADINGS.get(tag, tag)}>")
        elif self._link:
            start, address, name = self._link
            self._link = None
            inside = "".join(self._out[start:])
            del self._out[start:]
            named = {"id": name} if name else {}
            # Nobody can follow a link without text, such as those in headings.
            if address and re.sub(r"<[^>]*>", "", inside).strip():
                inside = f"{_start('a', {**named, 'href': address})}{inside}</a>"
            elif named:
                inside = f"{_start('span', named)}</span>{inside}"
            self._out.append(inside)

    def handle_data(self, data: str) -> None:
        self._out.append(escape(data, quote=False))

    def handle_entityref(self, name: str) -> None:
        self._out.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._out.append(f"&#{name};")

    def _image(self, given: dict[str, str]) -> None:
        text = escape(given.get("alt", "").strip() or "Image")
        address = link(given.get("src", ""))
        if self._link or address is None:
            self._out.append(text)
        else:
            self._out.append(f"{_start('a', {'href': address})}{text}</a>")


def _href(address: str) -> str | None:
    return f"#readme-{address[1:]}" if address[:1] == "#" and address[1:] else link(address)


def _start(tag: str, attributes: dict[str, str]) -> str:
    shown = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{shown}>"
