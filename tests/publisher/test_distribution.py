"""The publisher's distributions have the right content, and it installs from each source.

The sources are its wheel, its sdist and a git address, as in workflows and publish.py. Each is
installed in its own environment, without a network: its dependencies are those of the tests.
"""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import s3index

REPOSITORY = Path(__file__).parents[2]
SITE_PACKAGES = Path(pytest.__file__).parents[1]
PIP = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
OFFLINE = ["--no-deps", "--no-build-isolation", "--no-index", "-q"]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without the developer's pip settings; return what it printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "GIT"))}
    kept |= {"PIP_CONFIG_FILE": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Commit the working tree's files, from which distributions are built, to a new repository."""
    folder = tmp_path_factory.mktemp("clone")
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=REPOSITORY).split("\0")
    for path in filter(None, listed):
        if (REPOSITORY / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes((REPOSITORY / path).read_bytes())
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"]
    run("git", "init", "-q", "-b", "main", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run("git", *identity, "commit", "-q", "-m", "As it is", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def built(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel and an sdist with poetry-core, as pip would; return their folder."""
    folder = tmp_path_factory.mktemp("built")
    code = (
        "import sys; from poetry.core.masonry.api import build_sdist, build_wheel; "
        "build_wheel(sys.argv[1]); build_sdist(sys.argv[1])"
    )
    run(sys.executable, "-c", code, str(folder), cwd=clone)
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    assert wheel.name == f"s3index-{s3index.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"s3index-{s3index.__version__}.dist-info/"
    source = REPOSITORY / "src"
    own = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    template = "s3index/template/"
    assert {name for name in names if not name.startswith((info, template))} == own
    # `s3index init` needs these; tests/moving/test_init.py runs it from such a wheel.
    slug = f"{template}{{{{cookiecutter.project_slug}}}}/"
    assert {f"{slug}publish.py", f"{slug}.github/workflows/release.yml"} <= names
    assert not [name for name in names if name.startswith((f"{slug}src", f"{slug}tests"))]
    assert {"s3index/py.typed", "s3index/templates/project.html"} <= names
    assert [name for name in names if name.startswith("s3index/infra/") and name.endswith("json")]


def test_the_sdist_holds_what_it_is_built_from(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive}
    assert {"PKG-INFO", "pyproject.toml", "README.md", "src/s3index/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests", "docs"))]


@pytest.mark.full
@pytest.mark.parametrize(
    "source",
    [
        "wheel",
        "sdist",
        "git",
    ],
)
def test_it_installs_and_runs(source: str, clone: Path, built: Path, tmp_path: Path) -> None:
    target = {
        "wheel": next(built.glob("*.whl")),
        "sdist": next(built.glob("*.tar.gz")),
        "git": f"s3index @ git+{clone.as_uri()}@main",
    }[source]
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    # Dependencies and build backend come from the tests' environment; the publisher must not.
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(f"{SITE_PACKAGES}\n")
    run(python, *PIP, "install", *OFFLINE, "--ignore-installed", str(target), cwd=tmp_path)
    command = environment / "bin" / "s3index"
    assert run(command, "--version", cwd=tmp_path) == f"s3index {s3index.__version__}\n"
    code = "from s3index import people as p; p._environment().get_template('project.html')"
    code += "; print(p.__file__)"
    where = Path(run(python, "-c", code, cwd=tmp_path).strip())
    assert where.is_relative_to(packages)
    assert (where.parent / "py.typed").exists()
    assert (where.parent / "infra").is_dir()
