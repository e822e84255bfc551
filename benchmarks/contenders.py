"""The compared ways to release one wheel and one sdist, as commands."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.team import NAME, OURS, PROJECT, REGION, Team, library
from tests.distributions import sdist, wheel

TEMPLATE = Path(__file__).parents[1]
OURS_BIN = TEMPLATE / ".venv" / "bin"
BENCH = TEMPLATE / ".venv-bench" / "bin"
"""Where the others are installed: awscli needs an older docutils than s3index."""
S3INDEX, S3PYPI, WITH_ROOT, THE_SCRIPT = "s3index", "s3pypi", "s3pypi, root index", "the script"
THE_FLOOR = "the floor"
FLOOR = """from botocore.session import get_session
s3 = get_session().create_client("s3")
for _ in range(5):
    s3.list_objects_v2(Bucket="acme-s3pypi", MaxKeys=1)
"""
# The blog post's steps, for all files instead of one that was scraped from Poetry's output.
SCRIPT = f"""set -e
for file in dist/*; do aws s3 cp "$file" s3://acme-script/packages/{NAME}/; done
rm -rf index
dumb-pypi --package-list packages --output-dir index \\
    --packages-url https://acme-script.s3.{REGION}.amazonaws.com/packages/{NAME}/
aws s3 cp --recursive index s3://acme-script/dumb-pypi/{NAME}/index/
"""
PYPROJECT = f"""[project]
name = "{PROJECT}"
version = "{library().version}"

[tool.s3index]
team = "{NAME}"
bucket = "{OURS}"
region = "{REGION}"
url = "{library().index.url}"
"""


@dataclass(frozen=True)
class Contender:
    """A way to release: its name in the tables, its bucket, that one's filler, and its command."""

    name: str
    bucket: str
    filler: str
    command: Sequence[str]


class Library:
    """A repository with a built release, in which each contender's command can run."""

    def __init__(self, root: Path, about: str = "") -> None:
        """Write the repository to an empty folder; `about` is additional core metadata."""
        self.root = root
        (root / "dist").mkdir()
        # Text that does not compress makes the files as large as a small library's.
        body = f"# {random.Random(0).randbytes(20_000).hex()}"
        version = library().version
        self.files = [
            make(root / "dist", PROJECT, version, body=body, about=about).relative_to(root)
            for make in (wheel, sdist)
        ]
        (root / "pyproject.toml").write_text(PYPROJECT)
        (root / "deploy.sh").write_text(SCRIPT)

    def contenders(self) -> list[Contender]:
        """Return the publisher and the ones that it is compared with."""
        files = [str(file) for file in self.files]
        ours = [str(OURS_BIN / "s3index"), "publish", *files]
        s3pypi = [str(BENCH / "s3pypi"), "upload", *files, "--bucket", "acme-s3pypi"]
        s3pypi += ["--prefix", f"packages/{NAME}"]
        with_root = [*s3pypi, "--put-root-index"]
        return [
            Contender(S3INDEX, OURS, "s3index", ours),
            Contender(S3PYPI, "acme-s3pypi", "s3pypi", s3pypi),
            Contender(WITH_ROOT, "acme-s3pypi", "s3pypi", with_root),
            Contender(THE_FLOOR, "acme-s3pypi", "s3pypi", [str(BENCH / "python"), "-c", FLOOR]),
            Contender(THE_SCRIPT, "acme-script", "script", ["sh", "deploy.sh"]),
        ]

    def list_packages(self, team: Team) -> None:
        """Write the script's list of a team's files, including this release."""
        names = [*team.filenames(), *(file.name for file in self.files)]
        (self.root / "packages").write_text("".join(f"{name}\n" for name in names))

    def environment(self, endpoint: str) -> dict[str, str]:
        """Return a user's environment, with `endpoint` for AWS."""
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "TMPDIR")}
        return kept | {
            "PATH": f"{BENCH}:{os.environ['PATH']}",
            "HOME": str(self.root),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
