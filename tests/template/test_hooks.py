"""The hooks refuse bad answers, leave nothing behind, and finish good projects."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jinja2
import pytest

from hooks.answers import command
from hooks.post_gen_project import PYTHONS, make_repository
from hooks.pre_gen_project import CHOICES, problems
from tests.template.baking import ANSWERS, STUBS, TEMPLATE, Refused, bake, config_file, python, run

NORMALISED = "must be a normalised project name: a-z and 0-9, single hyphens between them"
IDENTIFIER = "must be an identifier of a-z, 0-9 and underscores that starts with a letter"
E_MAIL = "must be an e-mail address such as devtools@example.com, in ASCII"
TEAM = "must be 2 to 32 characters: a-z and 0-9, single hyphens between them, a letter first"
REGION = "must be an AWS region such as eu-central-1 or us-gov-west-1"
OWNER = "must be a GitHub name: up to 39 letters and digits, single hyphens between them"
ONE_LINE = "must be one line without control characters, as core metadata asks"
JINJA = "must not open a Jinja tag: `cruft update` would run the answer as template code"
SPACE = "must not start or end with white space"
NAMESPACE = "ends with -an, so it must be <prefix>-<account id>-<this region>-an"
INVISIBLE = "must not have invisible characters (bidirectional, zero width, joiners)"
DEVICE = "is the name of a device on Windows, where no file or folder can have it"
ADDRESS = "must not have '<', '>' or ',': core metadata could not tell name from address"
DOTS = "must have no dots: a dot breaks TLS on https://<bucket>.s3.<region>.amazonaws.com"

BAD: dict[str, dict[str, list[object]]] = {
    "project_slug": {
        NORMALISED: [
            *("", ".", "-x", "x-", "a--b", "a.b", "a_b", "Acme", "a b", "a/b/c", "../x"),
            *("/etc/x", "a\\b", "a\n", "é", "a;b", "$(id)", "{{ 1 }}"),
        ],
        "must have at most 64 characters, not 65": ["a" * 65],
        "is the name of a project that the repository depends on": ["pytest", "opentelemetry-api"],
        DEVICE: ["con", "prn", "aux", "nul", "com0", "com1", "com9", "lpt1"],
        "must be text": [None, 7, ["acme"]],
    },
    "package_name": {
        IDENTIFIER: ["", "1a", "a-b", "a.b", "a b", "Acme", "_a", "__init__", "é", "a\n", "\uff41"],
        "must have at most 64 characters, not 65": ["a" * 65],
        "is a Python keyword": ["class", "lambda", "match", "type", "case"],
        "is a module of Python's standard library": ["json", "site", "distutils", "annotationlib"],
        "is a name that the repository uses itself": ["s3index", "tests", "src", "publish", "dist"],
        "is the import name of a package that the repository uses": ["pytest", "opentelemetry"],
        DEVICE: ["con", "aux", "lpt9"],
    },
    "author_email": {
        E_MAIL: [
            *("", "a", "a@b", "@example.com", "a@", "a b@example.com", "a@example..com"),
            *("a@-x.com", ".a@example.com", "a@b@example.com", "é@example.com", "a@example.com\n"),
            *("A <a@example.com>", "{{x}}@example.com", "a@example.c0m-", "a" * 250 + "@x.com"),
        ],
    },
    "team": {
        TEAM: ["", "a", "a" * 33, "1a", "-ab", "ab-", "a--b", "Dev", "a_b", "a b", "a/b", "ab\n"],
        "is the name that Poetry keeps for PyPI": ["pypi"],
        DEVICE: ["nul", "com1"],
    },
    "bucket": {
        "must have 3 to 63 characters, not 2": ["ab"],
        "must have 3 to 63 characters, not 0": [""],
        "must have 3 to 63 characters, not 64": ["a" * 64],
        "must have only a-z, 0-9 and hyphens": ["Acme", "a_b", "a b", "a/b", "abé", "abc\n", "a:b"],
        "must start and end with a letter or digit": ["-abc", "abc-", ".abc", "abc."],
        DOTS: ["my.bucket", "192.168.5.4", "a..b", "abc.mrap"],
        "must not start with xn--, which S3 reserves": ["xn--abc"],
        "must not start with sthree-, which S3 reserves": ["sthree-a", "sthree-configurator-a"],
        "must not start with amzn-s3-demo-, which S3 reserves": ["amzn-s3-demo-bucket"],
        "must not end with -s3alias, which S3 reserves": ["abc-s3alias"],
        "must not end with --ol-s3, which S3 reserves": ["abc--ol-s3"],
        "must not end with .mrap, which S3 reserves": ["abc.mrap"],
        "must not end with --x-s3, which S3 reserves": ["abc--usw2-az1--x-s3"],
        "must not end with --table-s3, which S3 reserves": ["abc--table-s3"],
        NAMESPACE: [
            *("abc-an", "abc-111122223333-us-west-2-an", "abc-1111-eu-central-1-an"),
            *("-111122223333-eu-central-1-an", "abc111122223333-eu-central-1-an"),
            "abc-111122223333-eu-central-1-an-b-an",
        ],
    },
    "region": {
        REGION: [
            *("", "eu", "eu-central", "eu-centrl-1", "EU-central-1", "eu-central-0", "eu--1"),
            *("eu-central-1a", "us-iso-east-1", "europe-west-1", "eu-central-1\n"),
            "eu-central-\uff11",
        ],
    },
    "github_owner": {OWNER: ["", "-a", "a-", "a--b", "a_b", "a/b", "a" * 40, "é", "a\n"]},
    "python_version": {"must be one of 3.10, 3.11, 3.12, 3.13, 3.14": ["3.9", "3.1", "", "3.12.1"]},
    "starter": {"must be one of opentelemetry, empty": ["", "Empty", "flask"]},
    "access": {"must be one of network, token, public": ["", "private"]},
    "license": {"must be one of Proprietary, MIT, Apache-2.0": ["", "mit", "GPL-3.0-only"]},
    "organization": {
        "must not be blank": ["", " ", "\u3000"],
        SPACE: [" Acme", "Acme\t", "Acme\u00a0"],
        INVISIBLE: ["A\u202eB", "A\u200bB", "A\u2066B", "\ufeffA", "👩\u200d💻", "A\u00adB"],
        ONE_LINE: ["A\nB", "A\rB", "A\x00B", "A\x1bB", "A\x7fB", "A\x85B", "A\u2028B", "A\u2029B"],
        "must be valid Unicode: it has half of a surrogate pair": ["A\ud800B", "A\udfffB"],
        JINJA: ["{{ 1 }}", "{% if 1 %}", "{# x #}", "{{"],
        "must have at most 100 characters, not 101": ["A" * 101],
    },
    "project_name": {"must not be blank": [""], JINJA: ["{{ x }}"], ONE_LINE: ["A\nB"]},
    "description": {
        "must not be blank": [""],
        ONE_LINE: ["one\ntwo", "one\n\nName: other"],
        JINJA: ["a {{ b }}"],
        "must have at most 512 characters, not 513": ["x" * 513],
        "must be text": [None],
    },
    "author_name": {
        ADDRESS: ["A <a@example.com>", "Acme, Inc.", "a<", "a>"],
        "must be in Unicode's composed form NFC, which Poetry turns it into": ["Zoe\u0308"],
        ONE_LINE: ["A\nEvil: yes"],
        "must have at most 100 characters, not 101": ["A" * 101],
    },
}

GOOD: dict[str, list[str]] = {
    "project_slug": [
        "packaging-something",
        "boto3",
        "console",
        "com",
        "com10",
        "a",
        "0",
        "a-1-b",
        "3d",
        "a" * 64,
    ],
    "package_name": [
        "boto3",
        "infra",
        "auxiliary",
        "com1_a",
        "a",
        "a1",
        "a_b",
        "a__b",
        "b_",
        "classes",
        "jsons",
        "a" * 64,
    ],
    "author_email": ["a@b.io", "a.b+c@x-y.example.com", "O'Neil@example.com", "a_b@xn--e1aybc.com"],
    "team": ["ab", "a1", "lpt10", "dev-tools-2", "a" * 32],
    "bucket": [
        *("abc", "123", "a--b", "a" * 63, "1-2-3-4", "pan-packages", "awsome", "sthree"),
        *("pre-111122223333-eu-central-1-an", "americ-an-packages", "s3alias"),
    ],
    "region": [
        *("eu-central-1", "us-gov-west-1", "cn-northwest-1", "ap-southeast-7"),
        *("il-central-1", "mx-central-1", "eusc-de-east-1", "us-east-10"),
    ],
    "github_owner": ["a", "A1-b2", "0", "a" * 39],
    "python_version": ["3.10", "3.11", "3.12", "3.13", "3.14"],
    "organization": [
        "ACME & Söhne",
        "日本",
        "🦊",
        '"',
        "\\",
        "<script>",
        "$(id)",
        "`id`",
        "}} %} #}",
    ],
    "project_name": ["{ {", "a  b", "'''", "#"],
    "description": ["x" * 512, "a b", "- [ ] {x}", "= 'a' + \"b\" #"],
    "author_name": ["Zoë", 'Dev "Tools"', "A; B (C)", "\uff34"],
}


def cases(table: Mapping[str, Mapping[str, list[object]]]) -> list[object]:
    return [
        pytest.param(key, value, rule, id=f"{key}-{ascii(value)[:40]}-{number}")
        for key, rules in table.items()
        for number, (rule, values) in enumerate(rules.items())
        for value in values
    ]


def test_defaults_are_accepted() -> None:
    assert problems(ANSWERS) == []


@pytest.mark.parametrize(("key", "value", "rule"), cases(BAD))
def test_bad_answer_is_named_with_its_rule(key: str, value: object, rule: str) -> None:
    found = problems(ANSWERS | {key: value})
    assert all(line.startswith(f"{key} {value!r:.69}") for line in found)
    assert [line for line in found if line.endswith(f": {rule}")]
    assert all("\n" not in line and len(line) < 200 for line in found)


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in GOOD.items() for value in values]
)
def test_edge_of_what_is_valid_is_accepted(key: str, value: str) -> None:
    assert problems(ANSWERS | {key: value}) == []


@pytest.mark.parametrize(
    ("key", "limit"),
    [
        ("organization", 100),
        ("project_name", 100),
        ("description", 512),
        ("author_name", 100),
        ("project_slug", 64),
        ("package_name", 64),
    ],
)
def test_the_longest_answer(key: str, limit: int) -> None:
    assert problems(ANSWERS | {key: "z" * limit}) == []
    [line] = problems(ANSWERS | {key: "z" * (limit + 1)})
    assert line.endswith(f": must have at most {limit} characters, not {limit + 1}")


def test_a_composed_name_is_accepted_however_it_was_made() -> None:
    assert problems(ANSWERS | {"author_name": b"Zo\xc3\xab".decode()}) == []


@pytest.mark.parametrize("escaped", ["Zoe\\u0308", "\\u212bngstr\\u00f6m"])
def test_a_name_in_another_form_is_refused(escaped: str) -> None:
    name = escaped.encode().decode("unicode_escape")
    [line] = problems(ANSWERS | {"author_name": name})
    assert "must be in Unicode's composed form NFC" in line


def test_the_longest_address() -> None:
    address = f"team@{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 53}.com"
    assert len(address) == 254
    assert problems(ANSWERS | {"author_email": address}) == []
    assert problems(ANSWERS | {"author_email": f"x{address}"})


def test_message_is_whole_and_shortens_a_huge_value() -> None:
    assert problems(ANSWERS | {"team": "Ünfug"}) == [f"team 'Ünfug': {TEAM}"]
    assert problems(ANSWERS | {"team": "x" * 1000}) == [f"team '{'x' * 68}...: {TEAM}"]


def test_every_answer_is_checked_even_when_it_is_missing() -> None:
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text())
    asked = [key for key in questions if not key.startswith("_")]
    assert list(ANSWERS) == asked
    assert sorted(problems({})) == sorted(f"{key} None: must be text" for key in asked)


def test_choices_are_those_of_the_questions() -> None:
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text())
    choices = {key: sorted(value) for key, value in questions.items() if isinstance(value, list)}
    assert {key: sorted(value) for key, value in CHOICES.items()} == {
        key: value for key, value in choices.items() if not key.startswith("_")
    }


def test_pythons_to_test_are_those_to_choose_from() -> None:
    assert CHOICES["python_version"] == PYTHONS


def test_answers_that_a_fork_gives_are_checked_too() -> None:
    answers = {key: value for key, value in ANSWERS.items() if key not in ("bucket", "region")}
    assert problems(answers | {"_bucket": "acme-packages", "_region": "eu-west-1"}) == []
    assert problems(answers | {"_bucket": "acme-packages", "_region": "mars"}) == [
        "region 'mars': must be an AWS region such as eu-central-1 or us-gov-west-1"
    ]


def test_all_problems_come_at_once_and_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        bake(tmp_path, bucket="A.b", team="x", region="mars", license="GPL")
    assert refused.value.stderr.splitlines() == problems(
        ANSWERS | {"bucket": "A.b", "team": "x", "region": "mars", "license": "GPL"}
    )
    assert len(refused.value.stderr.splitlines()) == 6
    assert list(tmp_path.iterdir()) == []


def asked(
    tmp_path: Path, program: str, *arguments: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter or cruft as a person does, in `out`, with typed input."""
    (tmp_path / "out").mkdir()
    settings = {
        "COOKIECUTTER_CONFIG": str(config_file(tmp_path)),
        "PATH": f"{STUBS}{os.pathsep}{os.environ['PATH']}",
    }
    return subprocess.run(
        [*python(program), *arguments],
        cwd=tmp_path / "out",
        env=os.environ | settings,
        input=typed,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "slug",
    [
        *("a/../b/c", "/x/absolute"),
        *(pytest.param(slug, marks=pytest.mark.full)
          for slug in ("a/b/c", "../x", ".", "-x", "A", "x y")),
    ],
)  # fmt: skip
def test_refused_slug_leaves_no_folder_and_no_traceback(tmp_path: Path, slug: str) -> None:
    before = sorted(tmp_path.parent.iterdir())
    answers = ["--no-input", f"project_slug={slug}", "package_name=x"]
    done = asked(tmp_path, "cookiecutter", str(TEMPLATE), *answers)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"project_slug {slug!r}: {NORMALISED}\n\nTo answer again, ")
    assert list((tmp_path / "out").iterdir()) == []
    assert sorted(tmp_path.parent.iterdir()) == before


def test_a_refusal_ends_with_the_command_that_asks_again(tmp_path: Path) -> None:
    answers = ["description=It's  here & “there”", "team=X", "project_slug=con", "bucket=acme-x"]
    done = asked(tmp_path, "cookiecutter", str(TEMPLATE), "--no-input", *answers)
    assert (done.returncode, done.stdout) == (1, "")
    *problems, empty, label, _, again = done.stderr.splitlines()
    assert [problem.split()[0] for problem in problems] == ["project_slug", "package_name", "team"]
    assert (empty, label) == ("", "To answer again, with the valid answers filled in:")
    words = shlex.split(again)
    assert words[:5] == [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input"]
    good = dict(word.split("=", 1) for word in words[5:])
    assert good["description"] == "It's  here & “there”"
    assert good.keys() == ANSWERS.keys() - {"team", "project_slug", "package_name"}
    done = subprocess.run(
        words,
        cwd=tmp_path / "out",
        env=os.environ | {"COOKIECUTTER_CONFIG": str(config_file(tmp_path))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pyproject = (tmp_path / "out" / "acme-common" / "pyproject.toml").read_text()
    assert 'bucket = "acme-x"' in pyproject
    assert 'description = "It\'s  here & “there”"' in pyproject


@pytest.mark.full
def test_a_refusal_of_cruft_ends_with_the_command_too(tmp_path: Path) -> None:
    template = tmp_path / "template"
    committed(template)
    answers = json.dumps({"team": "X", "region": "eu-west-1"})
    arguments = ["create", "--no-input", str(template), "--extra-context", answers]
    done = asked(tmp_path, "cruft", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    problem, *_, again = done.stderr.splitlines()
    assert problem == f"team 'X': {TEAM}"
    words = shlex.split(again)
    assert words[:-1] == [sys.executable, "-m", "cruft", *arguments, "--extra-context"]
    assert json.loads(words[-1])["region"] == "eu-west-1"
    assert "team" not in json.loads(words[-1])
    shutil.rmtree(tmp_path / "out")
    done = asked(tmp_path, "cruft", *words[3:])
    assert done.returncode == 0, done.stderr
    assert 'region = "eu-west-1"' in (tmp_path / "out/acme-common/pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/usr/bin/cookiecutter", "gh:a/b", "-f"], "cookiecutter gh:a/b -f 'a=b c'"),
        (["/x/cookiecutter.exe", "gh:a/b"], "cookiecutter gh:a/b 'a=b c'"),
        (["/x/cruft", "create", "u"], """cruft create u --extra-context '{"a": "b c"}'"""),
        (["/x/cruft", "update"], ""),
        (["/x/pytest", "create"], ""),
    ],
)
def test_the_command_that_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], said: str
) -> None:
    for name in ("cookiecutter", "cruft"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command(argv, {"a": "b c"}) == said
    # As under uvx.
    monkeypatch.setenv("PATH", "")
    assert command(argv, {"a": "b c"}) == said.replace(Path(argv[0]).stem, argv[0], 1)


def test_a_refused_answer_takes_defaults_made_from_it_with_it(tmp_path: Path) -> None:
    answers = ["organization= ", "github_owner=umbra", "package_name=umbra_common"]
    # An option's value may be a question's key.
    options = ["--no-input", "--output-dir", "team"]
    done = asked(tmp_path, "cookiecutter", str(TEMPLATE), *options, *answers)
    assert done.returncode == 1
    words = shlex.split(done.stderr.splitlines()[-1])
    assert words[3:7] == [str(TEMPLATE), *options]
    good = dict(word.split("=", 1) for word in words[7:])
    assert (good["github_owner"], good["package_name"]) == ("umbra", "umbra_common")
    assert not good.keys() & {"organization", "project_slug", "bucket", "description"}


def test_addresses_cannot_be_answered(tmp_path: Path) -> None:
    """In 0.2.0, the README took its addresses from the answers."""
    evil = "https://evil.example.com/"
    keys = ("__url", "__index_url", "__site_url", "_url", "_index_url")
    replayed = bake(tmp_path / "replayed", **dict.fromkeys(keys, evil))
    given = [f"{key}={evil}" for key in keys]
    done = asked(tmp_path, "cookiecutter", str(TEMPLATE), "--no-input", *given)
    assert done.returncode == 0, done.stderr
    for project in (replayed, tmp_path / "out" / "acme-common"):
        assert all(b"evil" not in (project / path).read_bytes() for path in files(project))


def test_the_check_cannot_be_answered_away(tmp_path: Path) -> None:
    done = asked(tmp_path, "cookiecutter", str(TEMPLATE), "--no-input", "team=X", "__checked=yes")
    assert done.returncode == 1
    assert done.stderr == f"team 'X': {TEAM}\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_replay_of_another_version_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"cookiecutter": ANSWERS | {"team": "X"}}))
    arguments = [str(TEMPLATE), "--replay-file", str(tmp_path / "a.json")]
    done = asked(tmp_path, "cookiecutter", *arguments)
    assert (done.returncode, done.stderr) == (1, f"team 'X': {TEAM}\n")


def test_a_replay_with_bad_answers_ends_without_a_traceback(tmp_path: Path) -> None:
    first = asked(tmp_path, "cookiecutter", str(TEMPLATE), "--no-input")
    assert first.returncode == 0, first.stderr
    [dumped] = (tmp_path / "replay").iterdir()
    context = json.loads(dumped.read_text())
    context["cookiecutter"] |= {"project_slug": "acme-other", "team": "X"}
    dumped.write_text(json.dumps(context))
    again = tmp_path / "again"
    again.mkdir()
    done = asked(again, "cookiecutter", str(TEMPLATE), "--replay-file", str(dumped))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"team 'X': {TEAM}\n")
    assert list((again / "out").iterdir()) == []


# Relative, so that it is short enough for every answer: hooks run in the project's folder.
TOUCH = "__import__('pathlib').Path('canary').touch()"
CODE = {
    "python": f'" + str({TOUCH}) + "',
    "python_block": f"''' + str({TOUCH}) + '''",
    "percent": f"%22 + str({TOUCH}) + %22",
    "shell": "$(touch canary); `touch canary` && touch canary #",
}
JINJA_CODE = "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}"


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_code_in_answers_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = ["organization", "project_name", "description", "author_name"]
    project = bake(tmp_path, **dict.fromkeys(keys, code))
    assert (project / "pyproject.toml").exists()
    assert not list(tmp_path.rglob("canary"))


def test_jinja_code_in_a_replayed_answer_is_refused_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = JINJA_CODE.replace("CANARY", str(canary))
    out = tmp_path / "out"
    with pytest.raises(Refused) as refused:
        bake(out, description=code)
    assert refused.value.stderr.endswith(f": {JINJA}\n")
    assert not canary.exists()
    jinja2.Template(code).render()
    assert canary.exists(), "the payload itself is broken: this test proved nothing"


def test_code_typed_at_the_prompts_is_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    typed = [JINJA_CODE.replace("CANARY", str(canary)), CODE["shell"], *[""] * 14]
    done = asked(tmp_path, "cookiecutter", str(TEMPLATE), typed="\n".join(typed) + "\n")
    assert done.returncode == 1
    assert f"organization {typed[0]!r:.69}" in done.stderr
    assert not canary.exists()
    assert list((tmp_path / "out").iterdir()) == []


def test_answers_typed_at_the_prompts_make_a_project(tmp_path: Path) -> None:
    typed = ["Sharp Tools", "Größe", *[""] * 9, "2", "2", "3", "", "3"]
    command = [*python("cookiecutter"), str(TEMPLATE), "--config-file", str(config_file(tmp_path))]
    env = {"PWD": str(tmp_path), "PATH": f"{STUBS}{os.pathsep}{os.environ['PATH']}"}
    said = run(command, tmp_path, env, "\n".join(typed) + "\n")
    project = tmp_path / "sharp-tools-grosse"
    assert (project / "src" / "sharp_tools_grosse" / "py.typed").exists()
    assert 'requires-python = ">=3.10"' in (project / "pyproject.toml").read_text()
    assert "    cd sharp-tools-grosse\n" in said


def files(folder: Path) -> list[str]:
    """List a project's files as git would, without git's own and without caches."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    hidden = (".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")
    return sorted(path.as_posix() for path in found if not set(hidden) & set(path.parts))


def test_repository_has_every_file_and_no_commit(tmp_path: Path) -> None:
    project = bake(tmp_path)
    assert run(["git", "ls-files"], project).splitlines() == files(project)
    assert "On branch main\n\nNo commits yet" in run(["git", "status"], project)


def test_repository_ignores_the_users_git_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "ignore").write_text("*.toml\n")
    change = home / "hooks" / "post-index-change"
    change.write_text(f"#!/bin/sh\ntouch {home}/canary\nexit 1\n")
    change.chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\nexcludesFile={home}/ignore\nhooksPath={home}/hooks\nautocrlf=input\n"
        f"safecrlf=true\n[init]\ntemplateDir={home}/none\ndefaultBranch=trunk\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(home / "elsewhere"))
    project = bake(tmp_path / "out")
    monkeypatch.undo()
    assert run(["git", "ls-files"], project).splitlines() == files(project)
    assert (project / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert sorted(path.name for path in home.iterdir()) == [".gitconfig", "hooks", "ignore"]


def test_existing_repository_stays_as_it_is(tmp_path: Path) -> None:
    run(["git", "init", "--quiet"], tmp_path)
    run(["git", "symbolic-ref", "HEAD", "refs/heads/mine"], tmp_path)
    (tmp_path / "new").touch()
    assert make_repository(tmp_path) is None
    assert (tmp_path / ".git" / "HEAD").read_text() == "ref: refs/heads/mine\n"
    assert run(["git", "ls-files"], tmp_path) == ""


@pytest.mark.parametrize(
    ("git", "reason"),
    [
        (None, "git is not installed"),
        ("#!/bin/sh\necho no room >&2\nexit 1\n", "git init --quiet failed: no room"),
    ],
)
def test_project_without_git_is_a_hint_not_a_failure(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    git: str | None,
    reason: str,
) -> None:
    if git:
        (tmp_path / "git").write_text(git)
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    project = bake(tmp_path / "out")
    hint, *_ = capfd.readouterr().out.splitlines()
    assert (
        hint
        == f"No git repository was created ({reason}). To create one: git init && git add --all"
    )
    assert (project / "pyproject.toml").exists()


@pytest.mark.parametrize("place", ["here", "else where"])
def test_next_commands_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    place: str,
) -> None:
    monkeypatch.setenv("PWD", str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    project = bake(tmp_path / place)
    said = capfd.readouterr().out.splitlines()
    cd, install, test = [line.strip() for line in said if line.startswith("    ")]
    assert cd == "cd acme-common" if place == "here" else f"cd '{project}'"
    assert run(["sh", "-c", f"{cd} && pwd"], tmp_path / "here") == f"{project}\n"
    assert (install, test) == ("poetry install", "poetry run pytest")


def committed(template: Path) -> list[str]:
    """Copy the files needed for baking to `template`, commit them; return the commit command."""
    for name in ("cookiecutter.json", "hooks", "{{cookiecutter.project_slug}}"):
        source, target = TEMPLATE / name, template / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*_cache", "__pycache__"))
        else:
            shutil.copy(source, target)
    person = "git -c user.name=Dev -c user.email=dev@example.com"
    commit = ["sh", "-c", f"git init -q . && git add --all && {person} commit -q -m Change"]
    run(commit, template)
    return commit


@pytest.mark.full
def test_cruft_creates_and_updates(tmp_path: Path) -> None:
    home, template = tmp_path / "home", tmp_path / "template"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname=Dev Tools\nemail=devtools@example.com\n")
    env = {"HOME": str(home)}
    env["PATH"] = f"{STUBS}{os.pathsep}{os.environ['PATH']}"
    folder = "{{cookiecutter.project_slug}}"
    commit = committed(template)
    run(python("cruft", "create", "--no-input", str(template)), tmp_path, env)
    project = tmp_path / "acme-common"
    assert ".cruft.json" not in run(["git", "ls-files"], project).splitlines()
    assert "README.md" in run(["git", "ls-files"], project).splitlines()
    run(commit, project, env)

    with (template / folder / "CHANGELOG.md").open("a") as changelog:
        changelog.write("\nA line that the template gained.\n")
    run(commit, template, env)
    said = run(python("cruft", "update", "--skip-apply-ask"), project, env)
    assert "error" not in said
    assert "poetry install" not in said
    changed = run(["git", "status", "--porcelain"], project)
    # publish.py names the template's commit; the workflows do, too.
    assert {".cruft.json", "CHANGELOG.md", "publish.py"} <= set(changed.split())
    assert "README.md" not in changed
