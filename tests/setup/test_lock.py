"""Set-up installs the locks and nothing else, whatever an index offers and whichever pip there is.

Here every index also has a newer version, 9999, of everything.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.distributions import wheel
from tests.setup.locks import (
    BENCH_LOCK,
    LOCK,
    at,
    development,
    installed,
    measured,
    missing,
    names,
    pins,
    project,
    python,
)
from tests.setup.making import make, prepare
from tests.template.baking import TEMPLATE

CUT = ("coverage", "poetry-core", "pytest-cov")
"""What is cut from the lock. pytest-cov alone needs more: none of it is to be looked for."""
OLDEST = "22.3"
"""The pip of Python 3.11.0."""
# What ensurepip brings; Python 3.11 brings setuptools, too.
BROUGHT = {"pip", "setuptools"}

everywhere = pytest.mark.parametrize(
    "environment",
    [
        python(version, platform)
        for version in ("3.11", "3.12", "3.13", "3.14")
        for platform in ("linux", "darwin")
    ],
    ids=lambda each: f"{each['python_version']}-{each['sys_platform']}",
)


@everywhere
def test_the_lock_is_complete(environment) -> None:
    wanted = [*project(), *development()]
    assert missing(pins(LOCK.read_text()), wanted, installed(), environment) == []


def test_a_dropped_extra_or_pin_is_missed() -> None:
    lock = LOCK.read_text()
    without = [pins(lock.replace("coverage[toml]", "coverage"))]
    without += [[pin for pin in pins(lock) if pin.name != name] for name in ("wrapt", "poetry-core")]
    said = [missing(lock, project(), installed(), default_environment()) for lock in without]
    assert [re.sub(r"[<>=~].*", "", " ".join(each)) for each in said] == [
        "pytest-cov needs coverage[toml]",
        "aws-xray-sdk needs wrapt",
        "s3index needs poetry-core",
    ]


def packed(found: Distribution, folder: Path) -> Path:
    """Write a wheel of what is installed; commands in bin/ stay out."""
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
    """Make up a newer version of everything."""
    folder.mkdir(exist_ok=True)
    for name in names:
        wheel(folder, name, "9999")


def test_what_is_installed_is_the_lock(tmp_path: Path) -> None:
    index = tmp_path / "index"
    offer_newer([*CUT, "pluggy", "pytest", "pip", "s3index"], index)
    lock = ""
    for name in CUT:
        made = packed(distribution(name), index)
        digest = sha256(made.read_bytes()).hexdigest()
        lock += f"{name}=={distribution(name).version} --hash=sha256:{digest}\n"
    root = prepare(tmp_path / "clone", lock)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
    make(root, ".venv/ready", env=offline)
    found = names(root / ".venv")
    assert found.pop("s3index") == "0.3.0"
    assert found.pop("pip") != "9999"
    assert {name: found[name] for name in found.keys() - BROUGHT} == {
        name: distribution(name).version for name in CUT
    }
