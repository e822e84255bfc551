"""Write small real distributions in a millisecond, for tests that need many."""

import io
import re
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path


def wheel(
    folder: Path,
    project: str = "acme-common",
    version: str = "0.1.0",
    *,
    body: str = "",
    requires: tuple[str, ...] = (),
    requires_python: str = ">=3.11",
    about: str = "",
) -> Path:
    """Write an installable wheel (PEP 427) whose module holds its version, and `body`.

    `about` has more lines of core metadata and, after an empty one, the description.
    """
    name = project.replace("-", "_")
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f'VERSION = "{version}"\n{body}\n',
        f"{info}/METADATA": core_metadata(project, version, requires, requires_python, about),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            # With a fixed date, equal content gives equal bytes.
            archive.writestr(zipfile.ZipInfo(file, (2026, 1, 1, 0, 0, 0)), text)
    return path


def sdist(
    folder: Path,
    project: str = "acme-common",
    version: str = "0.1.0",
    *,
    body: str = "",
    requires: tuple[str, ...] = (),
    requires_python: str = ">=3.11",
    about: str = "",
    changelog: str | None = None,
) -> Path:
    """Write an sdist (PEP 625) that poetry-core can build; `about` as in `wheel`."""
    name = project.replace("-", "_")
    path = folder / f"{name}-{version}.tar.gz"
    pyproject = (
        f'[project]\nname = "{project}"\nversion = "{version}"\n'
        f'requires-python = "{requires_python}"\ndependencies = {list(requires)}\n'
        '[build-system]\nrequires = ["poetry-core>=2"]\nbuild-backend = "poetry.core.masonry.api"\n'
    )
    files = {
        "PKG-INFO": core_metadata(project, version, requires, requires_python, about),
        "pyproject.toml": pyproject,
        f"{name}/__init__.py": f'VERSION = "{version}"\n{body}\n',
        **({} if changelog is None else {"CHANGELOG.md": changelog}),
    }
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{file}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def core_metadata(
    project: str,
    version: str,
    requires: tuple[str, ...] = (),
    requires_python: str = ">=3.11",
    about: str = "",
) -> str:
    """Return METADATA or PKG-INFO (core metadata 2.3), with the extras that `requires` names."""
    extras = sorted(set(re.findall(r"extra == '([^']+)'", "".join(requires))))
    lines = [
        "Metadata-Version: 2.3",
        f"Name: {project}",
        f"Version: {version}",
        f"Requires-Python: {requires_python}",
        *(f"Requires-Dist: {requirement}" for requirement in requires),
        *(f"Provides-Extra: {extra}" for extra in extras),
    ]
    return "\n".join(lines) + f"\n{about}\n"


def digest(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    return sha256(path.read_bytes()).hexdigest()
