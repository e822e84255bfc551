"""Open a pull request with a template version in each of an organisation's libraries.

    python update_libraries.py acme v1.1.0

A library is one of the owner's repositories that has the topic `s3index` and was made with cruft.
A pull request that conflicts with the library's own changes is a draft and names the files. A
second run continues the first: it skips libraries that have the version or its branch.

Needs git, cruft, and gh with a login that may write to the libraries and their workflows. In a
workflow of the template's own repository, triggered by its tags, use a GitHub App's token:
GITHUB_TOKEN cannot access other repositories.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def main(owner: str, version: str) -> int:
    """Update every library; return 1 if any update failed, else 0."""
    listed = ["gh", "repo", "list", owner, "--topic", "s3index", "--no-archived", "--limit", "1000"]
    names = run([*listed, "--json", "nameWithOwner", "--jq", ".[].nameWithOwner"]).split()
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"{name}: {update(name, version, Path(folder) / 'library')}")
            except subprocess.CalledProcessError as error:
                failed = 1
                print(f"{name}: failed: {error.stderr.strip() or error.stdout.strip()}")
    return failed


def update(name: str, version: str, folder: Path) -> str:
    """Update one library to a version of the template; return a description of the outcome."""
    run(["gh", "repo", "clone", name, str(folder), "--", "--quiet"])
    if not (folder / ".cruft.json").exists():
        return "not made with cruft, left as it is"
    branch = f"template-{version}"
    if run(["git", "ls-remote", "--heads", "origin", branch], folder):
        return f"has the branch {branch} already"
    run(["cruft", "update", "--skip-apply-ask", "--checkout", version], folder)
    changed = run(["git", "status", "--porcelain"], folder)
    if not changed:
        return "up to date"
    unmerged = run(["git", "diff", "--name-only", "--diff-filter=U"], folder).split()
    unmerged += [str(path.relative_to(folder)) for path in folder.rglob("*.rej")]
    title = f"Update from the template to {version}"
    run(["git", "switch", "--quiet", "--create", branch], folder)
    run(["git", "add", "--all"], folder)
    run(["git", "commit", "--quiet", "--message", title], folder)
    run(["git", "push", "--quiet", "origin", branch], folder)
    body = f"See *Upgrade* in the template's CHANGELOG for {version}."
    if unmerged:
        body += "\n\nTo be merged by hand:\n" + "".join(f"\n- `{path}`" for path in unmerged)
    create = ["gh", "pr", "create", "--head", branch, "--title", title, "--body", body]
    run([*create, *(["--draft"] if unmerged else [])], folder)
    return f"to be merged by hand: {', '.join(unmerged)}" if unmerged else "pull request opened"


def run(command: Sequence[str], folder: Path | None = None) -> str:
    """Run a command and return its stdout; raise CalledProcessError if it fails."""
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: python update_libraries.py OWNER VERSION")
    sys.exit(main(*sys.argv[1:]))
