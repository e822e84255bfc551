"""What a lock pins, and what it lacks."""

import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from typing import cast

from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.template.baking import TEMPLATE

LOCK = TEMPLATE / "requirements.lock"
BENCH_LOCK = TEMPLATE / "benchmarks" / "requirements.txt"


def pins(lock: str) -> list[Requirement]:
    """Return the lines of a lock, without their hashes."""
    lines = lock.replace("\\\n", "").splitlines()
    return [Requirement(line.split("--hash=")[0]) for line in lines if line[:1].isalnum()]


def at(environment: Environment, pinned: Iterable[Requirement]) -> dict[str, Requirement]:
    """Return {name: pin} of what is installed in an environment."""
    return {
        canonicalize_name(pin.name): pin for pin in pinned if applies(pin, environment, extras=())
    }


def applies(requirement: Requirement, environment: Environment, extras: Iterable[str]) -> bool:
    """Tell whether a requirement of a distribution holds where some of its extras are asked for."""
    values = cast("dict[str, str]", environment)
    return not requirement.marker or any(
        requirement.marker.evaluate(values | {"extra": extra}) for extra in ("", *extras)
    )


def python(version: str, platform: str) -> Environment:
    """Return what markers see of a Python on linux or darwin."""
    return cast(
        "Environment",
        {
            **default_environment(),
            "python_version": version,
            "python_full_version": f"{version}.99",
            "sys_platform": platform,
            "platform_system": platform.capitalize(),
        },
    )


def installed(*path: str) -> dict[str, Distribution]:
    """Return what is installed in this environment, or in the folders of `path`."""
    found = distributions(path=list(path)) if path else distributions()
    return {canonicalize_name(each.metadata["Name"]): each for each in found}


def missing(
    lock: Iterable[Requirement],
    wanted: Iterable[Requirement],
    found: Mapping[str, Distribution],
    environment: Environment,
) -> list[str]:
    """Return what a resolver would still have to look for, beside the lock, in an environment.

    That is: each of `wanted`, and each Requires-Dist of each pinned distribution with the extras
    that it is pinned with, is in the lock in a version that it takes and with its extras. The
    metadata are those of `found`; what is only pinned for other environments has none there.
    """
    here = at(environment, lock)
    asked = [("s3index", each) for each in wanted if applies(each, environment, extras=())]
    for name, pin in here.items():
        if name in found and pin.specifier.contains(found[name].version, prereleases=True):
            each = [Requirement(text) for text in found[name].requires or []]
            asked += [(name, it) for it in each if applies(it, environment, pin.extras)]
    return [
        f"{name} needs {requirement}"
        for name, requirement in asked
        if not satisfied(requirement, here.get(canonicalize_name(requirement.name)))
    ]


def satisfied(requirement: Requirement, pin: Requirement | None) -> bool:
    """Tell whether a pin is all that a requirement asks for."""
    if not pin:
        return False
    [version] = [each.version for each in pin.specifier]
    return requirement.extras <= pin.extras and requirement.specifier.contains(
        version, prereleases=True
    )


def project() -> list[Requirement]:
    """Return what s3index needs to be built and to run."""
    settings = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    texts = settings["build-system"]["requires"] + settings["project"]["dependencies"]
    return [Requirement(text) for text in texts]


def development() -> list[Requirement]:
    """Return what s3index needs beside that to be worked on: the extra `preview`, the group."""
    settings = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    extra = settings["project"]["optional-dependencies"]["preview"]
    return [Requirement(text) for text in extra + settings["dependency-groups"]["dev"]]


def measured() -> list[Requirement]:
    """Return what the benchmarks need beside s3index."""
    lines = BENCH_LOCK.with_suffix(".in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]
