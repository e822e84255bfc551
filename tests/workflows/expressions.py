"""GitHub's expressions, as far as our workflows use them; anything else is an error.

https://docs.github.com/actions/reference/workflows-and-actions/expressions
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import nan

Contexts = Mapping[str, object]

TOKEN = re.compile(
    r"\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>&&|\|\||==|!=|[!().,\[\]]))"
)
WORDS = {"true": True, "false": False, "null": None}


class Unsupported(Exception):
    """A workflow asks for something that this reading of it does not know."""


class Lenient(dict[str, object]):
    """A context whose missing properties are null, as all are on GitHub.

    In the others a missing property is an error here: most likely it is misspelt.
    """


def interpolate(text: str, contexts: Contexts) -> str:
    """Return `text` with the value of each `${{ … }}` in its place."""
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: shown(evaluate(found[1], contexts)), text, flags=re.DOTALL
    )


def condition(text: str, contexts: Contexts) -> bool:
    """Return whether an `if:` holds; it may stand without `${{ }}`."""
    return bool(evaluate(re.sub(r"^\s*\$\{\{(.*)\}\}\s*$", r"\1", text), contexts))


def evaluate(text: str, contexts: Contexts) -> object:
    """Return the value of one expression. Raises Unsupported for what is not known here."""
    parser = _Parser(text, contexts)
    value = parser.either()
    if parser.tokens:
        raise Unsupported(f"{parser.tokens[0][1]!r} in {text!r}")
    return value


def shown(value: object) -> str:
    """Return a value as it appears in text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (Mapping, list)):
        raise Unsupported(f"an object or a list in text: {value!r}")
    return "" if value is None else str(value)


class _Parser:
    def __init__(self, text: str, contexts: Contexts) -> None:
        self.contexts = contexts
        self.tokens = list(_tokens(text))

    def next(self, *wanted: str) -> str | None:
        """Take the next token if it is one of the signs wanted."""
        if self.tokens and self.tokens[0][0] == "sign" and self.tokens[0][1] in wanted:
            return self.tokens.pop(0)[1]
        return None

    def need(self, sign: str) -> None:
        if not self.next(sign):
            raise Unsupported(f"{sign!r} is missing before {self.tokens}")

    def either(self) -> object:
        value = self.both()
        while self.next("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> object:
        value = self.equality()
        while self.next("&&"):
            other = self.equality()
            value = value and other
        return value

    def equality(self) -> object:
        value = self.negation()
        while sign := self.next("==", "!="):
            value = _equal(value, self.negation()) == (sign == "==")
        return value

    def negation(self) -> object:
        return not self.negation() if self.next("!") else self.property()

    def property(self) -> object:
        value = self.atom()
        while sign := self.next(".", "["):
            if sign == "[":
                key = self.either()
                self.need("]")
            else:
                key = self.name()
            value = _get(value, key)
        return value

    def name(self) -> str:
        kind, text = self.tokens.pop(0) if self.tokens else ("", "the end")
        if kind != "name":
            raise Unsupported(f"{text!r} where a name is needed")
        return text

    def atom(self) -> object:
        if self.next("("):
            value = self.either()
            self.need(")")
            return value
        kind, text = self.tokens.pop(0) if self.tokens else ("", "the end")
        if kind == "text":
            return text.replace("''", "'")
        if kind == "number":
            return float(text)
        if kind != "name":
            raise Unsupported(f"{text!r} where a value is needed")
        if self.next("("):
            return self.call(text)
        if text in WORDS:
            return WORDS[text]
        return _get(self.contexts, text)

    def call(self, name: str) -> object:
        arguments: list[object] = []
        while not self.next(")"):
            arguments.append(self.either())
            self.next(",")
        if name not in FUNCTIONS:
            raise Unsupported(f"function {name}")
        return FUNCTIONS[name](*arguments)


def _tokens(text: str) -> Sequence[tuple[str, str]]:
    found, end = [], 0
    while text[end:].strip():
        match = TOKEN.match(text, end)
        if not match:
            raise Unsupported(f"{text[end:]!r} in {text!r}")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        end = match.end()
    return found


def _get(value: object, key: object) -> object:
    if isinstance(value, Lenient):
        return value.get(str(key))
    if isinstance(value, list) and isinstance(key, float):
        return value[int(key)]
    if not isinstance(value, Mapping) or key not in value:
        raise Unsupported(f"property {key!r}, which is not there")
    return value[key]


def _equal(one: object, other: object) -> bool:
    """Compare as GitHub does: texts without their case, unlike types as numbers."""
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    return _number(one) == _number(other)


def _number(value: object) -> float:
    try:
        return float(value or 0) if isinstance(value, (str, float, int, type(None))) else nan
    except ValueError:
        return nan


FUNCTIONS: dict[str, Callable[..., object]] = {"fromJSON": json.loads}
