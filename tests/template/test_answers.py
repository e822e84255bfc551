"""Free text in answers is either refused by name or carried unchanged."""

import email
import re
import tomllib
import unicodedata
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.template.baking import ANSWERS, Refused, bake, python, run

FREE_TEXT = {"organization": 100, "project_name": 100, "description": 512, "author_name": 100}

SNIPPETS = [
    *"\"'\\`$#*_[]()<>&|~{}!=+-.:;@%^/?,\n\r\t\0\x1b\x7f\x85\u2028\ud800\u0308\u200d",
    *("'''", '"""', "\\n", "\\u0041", "\\x", "\\N{DIGIT ONE}", "{{", "}}", "{%", "{{ 1 }}", "{# x"),
    *("<script>alert(1)</script>", "<!--", "&lt;", "&#35;", "![x](y)", "[x]: y", "# ", "- ", "1. "),
    *("$(id)", "`id`", "; rm -rf x", "%s %(x)s", "${x}", "import os", "__import__('os')", "= 1"),
    *("🦊", "👩‍💻", "日本", "Zoë", "ß", "עברית", "\u202e", "\ufeff", " ", "  ", "a", "B7"),
]
MIXED = st.lists(st.sampled_from(SNIPPETS) | st.characters(), max_size=12).map("".join)


def carried(key: str, text: str) -> bool:
    """Return whether a text can be carried, by the rules and independently of the hook's code."""
    categories = {unicodedata.category(character) for character in text}
    if key == "author_name" and (
        set("<>,") & set(text) or unicodedata.normalize("NFC", text) != text
    ):
        return False
    return (
        text == text.strip() != ""
        and len(text) <= FREE_TEXT[key]
        and not categories & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        and not any(tag in text for tag in ("{{", "{%", "{#"))
    )


def valid(key: str) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])
    snippets = st.sampled_from([snippet for snippet in SNIPPETS if carried(key, f"a{snippet}a")])
    text = st.lists(snippets | characters, min_size=1, max_size=12).map("".join).map(str.strip)
    return text.filter(lambda text: carried(key, text))


quick = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    # Each example bakes a project: shrinking would take minutes, and examples are short.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def tokens(project: Path) -> list[Token]:
    """Parse a project's README into one flat list of blocks and inline parts."""
    text = (project / "README.md").read_text(encoding="utf-8")
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return [part for block in parser.parse(text) for part in (block, *(block.children or []))]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Token]:
    """Return the README's tokens for the default answers."""
    return tokens(bake(tmp_path_factory.mktemp("plain")))


def check(project: Path, answers: dict[str, str], plain: list[Token]) -> None:
    """Compare a baked project's texts with the answers they came from."""
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["description"] == answers["description"]
    assert metadata["authors"] == [
        {"name": answers["author_name"], "email": ANSWERS["author_email"]}
    ]
    assert answers["organization"] in (project / "LICENSE").read_text(encoding="utf-8")

    readme = tokens(project)
    assert [token.type for token in readme] == [token.type for token in plain]
    texts = [token.content for token in readme if token.type == "text"]
    assert texts[0] == answers["project_name"]
    assert texts[1] == f": {answers['description']}"
    assert texts[-1] == (
        f"Maintained by {answers['author_name']} (devtools@example.com)"
        f" at {answers['organization']}."
    )


@quick
@example(key="author_name", text="Zoe\u0308")
@example(key="description", text="half a pair \ud83d")
@example(key="description", text="a\u202eb")
@example(key="description", text="__TEMPLATE_ACTION__ __PYTHON__")
@given(key=st.sampled_from(sorted(FREE_TEXT)), text=MIXED)
def test_any_text_is_refused_by_name_or_carried(plain: list[Token], key: str, text: str) -> None:
    answers = {name: str(ANSWERS[name]) for name in FREE_TEXT} | {key: text}
    with TemporaryDirectory() as folder:
        try:
            project = bake(Path(folder), **answers)
        except Refused as refused:
            assert not carried(key, text)
            lines = refused.stderr.splitlines()
            assert lines
            assert all(line.startswith(f"{key} ") for line in lines)
            assert list(Path(folder).iterdir()) == []
        else:
            assert carried(key, text)
            check(project, answers, plain)


MARKDOWN = "*a* **b** _c_ [d](e) ![f](g) <b>h</b> <i.example.com> &lt; &#35; ~~j~~ `k` \\* l #"


@pytest.mark.full
@quick
@example(
    answers=dict.fromkeys(FREE_TEXT, MARKDOWN) | {"author_name": "*a* _c_ [d](e) ~~j~~ `k` &lt;"}
)
@given(answers=st.fixed_dictionaries({key: valid(key) for key in FREE_TEXT}))
def test_hostile_but_valid_text_is_carried_unchanged(
    plain: list[Token], answers: dict[str, str]
) -> None:
    with TemporaryDirectory() as folder:
        check(bake(Path(folder), **answers), answers, plain)


@pytest.mark.parametrize(
    ("description", "author_name"),
    [
        ('Quotes " \' """ \\ \\" and $(id) `id` %s {x} # - [x](y)', 'Dev "Tools" \\ O\'Neil'),
        ("<script>alert('1')</script> &lt; 🦊 👩💻 日本 ﷽.", "Zoë 🦊 日本; (A) = [B]"),
        ("Name: other; Version: 9 <!-- {}} %} #}", "=?utf-8?q?a?= & Söhne"),
    ],
)
def test_text_reaches_the_wheels_metadata(
    tmp_path: Path, description: str, author_name: str
) -> None:
    project = bake(tmp_path, description=description, author_name=author_name, starter="empty")
    # `poetry build` calls this too, but Poetry takes two seconds to start.
    build = "from poetry.core.masonry.api import build_wheel; build_wheel('dist')"
    run([*python("poetry")[:1], "-c", build], project)
    [wheel] = (project / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("acme_common-0.1.0.dist-info/METADATA").decode()
    metadata = email.message_from_string(text)
    assert metadata["Summary"] == description
    assert metadata["Author"] == author_name
    assert metadata["Author-email"] == "devtools@example.com"
    assert metadata["Name"] == "acme-common"
    readme = metadata.get_payload()
    assert isinstance(readme, str)
    assert re.match(r"# Common\n\n`acme-common`: ", readme)
