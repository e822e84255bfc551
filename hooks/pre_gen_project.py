"""The rules for answers; answers.py applies them after the prompts and to a replay's answers.

{{ cookiecutter | replayed }}
"""

import keyword
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import partial

CHOICES = {
    "python_version": ("3.10", "3.11", "3.12", "3.13", "3.14"),
    "starter": ("opentelemetry", "empty"),
    "access": ("network", "token", "public"),
    "license": ("Proprietary", "MIT", "Apache-2.0"),
}
LIMITS = {"organization": 100, "project_name": 100, "description": 512, "author_name": 100}
LIMITS |= {"project_slug": 64, "package_name": 64}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Poetry cannot install a project that depends on its own name.
DEPENDENCIES = _words(
    "mypy opentelemetry-api opentelemetry-sdk poetry-core pre-commit pytest pytest-cov ruff s3index"
    " zizmor"
)
TAKEN_NAMES = {
    # `type` is not a keyword yet in Python 3.11.
    frozenset([*keyword.kwlist, *keyword.softkwlist, "type"]): "is a Python keyword",
    _words("build conftest dist docs publish s3index src test tests"): (
        "is a name that the repository uses itself"
    ),
    _words(
        "ast_serialize cfgv coverage distlib exceptiongroup filelock identify iniconfig librt mypy"
        " mypyc nodeenv opentelemetry packaging pathspec pip platformdirs pluggy poetry pre_commit"
        " py pygments pytest pytest_cov python_discovery ruff tomli typing_extensions virtualenv"
        " yaml zizmor"
    ): "is the import name of a package that the repository uses",
    # sys.stdlib_module_names is for one Python only; these came or went from 3.10 to 3.14.
    sys.stdlib_module_names
    | _words(
        "aifc annotationlib asynchat asyncore audioop binhex cgi cgitb chunk compression crypt"
        " distutils imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr"
        " spwd sunau telnetlib uu xdrlib"
    ): "is a module of Python's standard library",
}
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
DEVICES = r"con|prn|aux|nul|(com|lpt)[0-9]"


def problems(answers: Mapping[str, object]) -> list[str]:
    """Check cookiecutter's context: answers, and those (`_bucket`) that a fork presets.

    Return one line per problem, with the answer's key, its value and the rule it breaks.
    """
    rules: dict[str, Callable[[str], Iterator[str]]] = {
        **dict.fromkeys(("organization", "project_name", "description"), _free_text),
        "author_name": _author_name,
        "project_slug": _project_slug,
        "package_name": _package_name,
        "author_email": _author_email,
        "team": _team,
        "bucket": partial(_bucket, region=answer(answers, "region")),
        "region": _region,
        "github_owner": _github_owner,
        **{key: partial(_choice, choices=choices) for key, choices in CHOICES.items()},
        "edge": partial(_edge, access=answer(answers, "access")),
    }
    found: list[str] = []
    for key, rule in rules.items():
        value = answer(answers, key)
        broken = [*rule(value)] if isinstance(value, str) else ["must be text"]
        if isinstance(value, str) and len(value) > LIMITS.get(key, len(value)):
            broken.append(f"must have at most {LIMITS[key]} characters, not {len(value)}")
        shown = repr(value) if len(repr(value)) <= 72 else f"{value!r:.69}..."
        found += [f"{key} {shown}: {problem}" for problem in broken]
    return found


def answer(answers: Mapping[str, object], key: str) -> object:
    """Return the answer to a question, or the one that a fork presets (`_bucket`)."""
    return answers.get(key, answers.get(f"_{key}"))


def _free_text(value: str) -> Iterator[str]:
    if not value.strip():
        yield "must not be blank"
    elif value != value.strip():
        yield "must not start or end with white space"
    categories = {unicodedata.category(character) for character in value}
    if categories & {"Cc", "Zl", "Zp"}:
        yield "must be one line without control characters, as core metadata asks"
    if "Cf" in categories:
        # This includes the joiners of emoji and some scripts: their effect on text is invisible.
        yield "must not have invisible characters (bidirectional, zero width, joiners)"
    if "Cs" in categories:
        yield "must be valid Unicode: it has half of a surrogate pair"
    if re.search(r"\{[%#{]", value):
        yield "must not open a Jinja tag: `cruft update` would run the answer as template code"


def _author_name(value: str) -> Iterator[str]:
    yield from _free_text(value)
    if re.search("[<>,]", value):
        yield "must not have '<', '>' or ',': core metadata could not tell name from address"
    if value != unicodedata.normalize("NFC", value):
        yield "must be in Unicode's composed form NFC, which Poetry turns it into"


def _choice(value: str, choices: tuple[str, ...]) -> Iterator[str]:
    if value not in choices:
        yield f"must be one of {', '.join(choices)}"


def _project_slug(value: str) -> Iterator[str]:
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
        yield "must be a normalised project name: a-z and 0-9, single hyphens between them"
    if value in DEPENDENCIES:
        yield "is the name of a project that the repository depends on"
    yield from _device(value)


def _package_name(value: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        yield "must be an identifier of a-z, 0-9 and underscores that starts with a letter"
    for names, problem in TAKEN_NAMES.items():
        if value in names:
            yield problem
    yield from _device(value)


def _author_email(value: str) -> Iterator[str]:
    local, label = r"[\w!#$%&'*+/=?^-]+", r"([a-z0-9-]*[a-z0-9])?"
    pattern = rf"{local}(\.{local})*@([a-z0-9]{label}\.)+[a-z]{label}"
    if len(value) > 254 or not re.fullmatch(pattern, value, re.ASCII | re.IGNORECASE):
        yield "must be an e-mail address such as devtools@example.com, in ASCII"


def _team(value: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value) or not 2 <= len(value) <= 32:
        yield "must be 2 to 32 characters: a-z and 0-9, single hyphens between them, a letter first"
    if value == "pypi":
        yield "is the name that Poetry keeps for PyPI"
    yield from _device(value)


def _device(value: str) -> Iterator[str]:
    if re.fullmatch(DEVICES, value):
        yield "is the name of a device on Windows, where no file or folder can have it"


def _bucket(value: str, region: object) -> Iterator[str]:
    if not 3 <= len(value) <= 63:
        yield f"must have 3 to 63 characters, not {len(value)}"
    if re.search(r"[^a-z0-9.-]", value):
        yield "must have only a-z, 0-9 and hyphens"
    if not re.fullmatch(r"[a-z0-9](.*[a-z0-9])?", value, re.DOTALL):
        yield "must start and end with a letter or digit"
    if "." in value:
        yield "must have no dots: a dot breaks TLS on https://<bucket>.s3.<region>.amazonaws.com"
    for prefix in filter(value.startswith, BUCKET_PREFIXES):
        yield f"must not start with {prefix}, which S3 reserves"
    for suffix in filter(value.endswith, BUCKET_SUFFIXES):
        yield f"must not end with {suffix}, which S3 reserves"
    namespaced = r"[a-z0-9].*-\d{12}-" + re.escape(str(region)) + "-an"
    if value.endswith("-an") and not re.fullmatch(namespaced, value, re.DOTALL):
        yield "ends with -an, so it must be <prefix>-<account id>-<this region>-an"


def _region(value: str) -> Iterator[str]:
    # The isolated partitions (us-iso and the like) are excluded: GitHub cannot reach them.
    area = "[a-z][a-z]|us-gov|eusc-[a-z][a-z]"
    direction = "central|north|south|(north|south)?(east|west)"
    if not re.fullmatch(rf"({area})-({direction})-[1-9][0-9]?", value):
        yield "must be an AWS region such as eu-central-1 or us-gov-west-1"


def _github_owner(value: str) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", value) or len(value) > 39:
        yield "must be a GitHub name: up to 39 letters and digits, single hyphens between them"


def _edge(value: str, access: object) -> Iterator[str]:
    label = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
    if value and not re.fullmatch(rf"https://({label}\.)+{label}(:[0-9]{{1,5}})?", value):
        yield "must be empty, or an address such as https://packages.acme.example, with no slash"
    if not value and access == "token":
        yield "must be given where access is token: the edge is what asks for tokens"
