"""Set-up installs the locks and nothing else, whatever an index offers and whichever pip runs.

In these tests, every index also offers an invented newer version of everything.
"""

import re
import zipfile
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment

from tests.distributions import wheel
from tests.setup.locks import (
    BENCH_LOCK,
    LOCK,
    at,
    development,
    installed,
    measured,
    missing,
    pins,
    project,
    python,
)
from tests.setup.making import make, prepare

CUT = ("coverage", "poetry-core", "pytest-cov")
"""An excerpt of the lock. Only pytest-cov needs more, none of which may be resolved."""
OLDEST = "22.3"
"""The pip of Python 3.11.0."""
BROUGHT = {"pip", "setuptools"}
"""Packages that a new environment already has; setuptools comes with Python 3.11."""


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_lock_is_complete(version: str, platform: str) -> None:
    wanted = [*project(), *development()]
    assert missing(pins(LOCK.read_text()), wanted, installed(), python(version, platform)) == []


def test_what_is_dropped_from_the_lock_is_missed() -> None:
    lock = LOCK.read_text()
    less = [pins(lock.replace("coverage[toml]", "coverage"))]
    less += [[pin for pin in pins(lock) if pin.name != name] for name in ("wrapt", "poetry-core")]
    said = [missing(each, project(), installed(), default_environment()) for each in less]
    assert [[re.sub(r"[<>=~].*", "", line) for line in lines] for lines in said] == [
        ["pytest-cov needs coverage[toml]"],
        ["aws-xray-sdk needs wrapt"],
        ["s3index needs poetry-core", "poetry needs poetry-core"],
    ]


def packed(found: Distribution, folder: Path) -> Path:
    """Write a wheel of an installed distribution, without its commands in bin/."""
    tag = re.search(r"^Tag: (.*)$", found.read_text("WHEEL") or "", re.MULTILINE)
    assert tag
    assert found.files
    name = found.metadata["Name"].replace("-", "_")
    path = folder / f"{name}-{found.version}-{tag[1]}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in found.files:
            if ".." not in file.parts and file.suffix != ".pyc":
                archive.write(file.locate(), file.as_posix())
    return path


def offer_newer(names: Iterable[str], folder: Path) -> None:
    """Write an invented newer version of everything; poetry-core's is within its bounds."""
    for name in names:
        wheel(folder, name, "2.9999" if name == "poetry-core" else "9999")


@pytest.mark.full
def test_what_is_installed_is_the_lock(tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    offer_newer([*CUT, "pluggy", "pytest", "pip", "s3index"], index)
    lock = ""
    for name in CUT:
        digest = sha256(packed(distribution(name), index).read_bytes()).hexdigest()
        lock += f"{name}=={distribution(name).version} --hash=sha256:{digest}\n"
    root = prepare(tmp_path / "clone", lock)
    make(root, ".venv/ready", env={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)})
    found = versions(root / ".venv")
    assert {name: found[name] for name in found.keys() - BROUGHT - {"s3index"}} == {
        name: distribution(name).version for name in CUT
    }
    assert found["pip"] != "9999"
    assert found["s3index"] == distribution("s3index").version


@pytest.mark.full
@pytest.mark.parametrize("environment", [".venv", ".venv-bench"])
def test_the_real_locks_with_the_oldest_pip(environment: str, tmp_path: Path) -> None:
    lock = (LOCK if environment == ".venv" else BENCH_LOCK).read_text()
    pinned = at(default_environment(), pins(lock))
    newer = tmp_path / "newer"
    newer.mkdir()
    offer_newer(pinned, newer)
    root = prepare(tmp_path / "clone", LOCK.read_text(), BENCH_LOCK.read_text())
    make(root, f"{environment}/ready", f"WITH_PIP={OLDEST}", env={"PIP_FIND_LINKS": str(newer)})
    found = versions(root / environment)
    for name in found.keys() - BROUGHT - {"s3index"} | pinned.keys():
        assert pinned[name].specifier.contains(found[name], prereleases=True)
    wanted = [*project(), *development()] if environment == ".venv" else measured()
    there = installed(str(packages(root / environment)))
    assert missing(pins(lock), wanted, there, default_environment()) == []


def packages(environment: Path) -> Path:
    """Return the site-packages folder of a virtual environment."""
    [folder] = environment.glob("lib/python3.*/site-packages")
    return folder


def versions(environment: Path) -> dict[str, str]:
    """Return {name: version} of a virtual environment's packages."""
    return {name: each.version for name, each in installed(str(packages(environment))).items()}
