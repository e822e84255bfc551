"""Read what a lock pins, and find what it lacks."""

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
    """Return the pins of a lock, without their hashes."""
    lines = lock.replace("\\\n", "").splitlines()
    return [Requirement(line.split("--hash=")[0]) for line in lines if line[:1].isalnum()]


def at(environment: Environment, pinned: Iterable[Requirement]) -> dict[str, Requirement]:
    """Return {name: pin} of the pins that apply to an environment."""
    return {
        canonicalize_name(pin.name): pin for pin in pinned if applies(pin, environment, extras=())
    }


def applies(requirement: Requirement, environment: Environment, extras: Iterable[str]) -> bool:
    """Return whether a distribution's requirement applies if `extras` of it are requested."""
    values = cast("dict[str, str]", environment)
    return not requirement.marker or any(
        requirement.marker.evaluate(values | {"extra": extra}) for extra in ("", *extras)
    )


def python(version: str, platform: str) -> Environment:
    """Return the marker environment of a Python version on linux or darwin."""
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
    """Return {name: distribution} of this environment, or of the folders in `path`."""
    found = distributions(path=list(path)) if path else distributions()
    return {canonicalize_name(each.metadata["Name"]): each for each in found}


def missing(
    lock: Iterable[Requirement],
    wanted: Iterable[Requirement],
    found: Mapping[str, Distribution],
    environment: Environment,
) -> list[str]:
    """Return the requirements that the lock leaves to a resolver in an environment.

    A complete lock pins an accepted version, with the extras, for each of `wanted` and for each
    Requires-Dist of each pinned distribution, given its pinned extras. Metadata come from `found`,
    which has none of a distribution that is pinned only for other environments.
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
    """Return whether a pin satisfies a requirement, extras included."""
    if not pin:
        return False
    [version] = [each.version for each in pin.specifier]
    return requirement.extras <= pin.extras and requirement.specifier.contains(
        version, prereleases=True
    )


def project() -> list[Requirement]:
    """Return the requirements of building and running s3index."""
    settings = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    texts = settings["build-system"]["requires"] + settings["project"]["dependencies"]
    return [Requirement(text) for text in texts]


def development() -> list[Requirement]:
    """Return the further requirements of developing s3index: extra `preview`, group `dev`."""
    settings = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    extra = settings["project"]["optional-dependencies"]["preview"]
    return [Requirement(text) for text in extra + settings["dependency-groups"]["dev"]]


def measured() -> list[Requirement]:
    """Return the benchmarks' requirements in addition to s3index."""
    lines = BENCH_LOCK.with_suffix(".in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]
