"""The commands of docs/sharing.md are right; gh needs an account, so a stand-in records them."""

import os
import subprocess
from pathlib import Path

from markdown_it import MarkdownIt

from tests.template.baking import TEMPLATE

GH = """#!/bin/sh
printf '%s ' "$@" >> "$ASKED"
echo >> "$ASKED"
case "$*" in *--jq*) echo 42 ;; esac
"""


def test_the_commands_ask_github_for_what_the_text_says(tmp_path: Path) -> None:
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    asked = tmp_path / "asked"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ASKED": str(asked)}
    text = (TEMPLATE / "docs" / "sharing.md").read_text()
    for token in MarkdownIt().parse(text):
        if token.info == "console":
            subprocess.run(["bash", "-euc", token.content], env=environment, check=True)
    assert asked.read_text().splitlines() == [
        "api --method PUT repos/acme/s3-lib-template/actions/permissions/access "
        "-f access_level=organization ",
        "api repos/acme/s3-lib-template --jq .id ",
        "api --method PATCH organizations/acme/dependabot/repository-access "
        "-F repository_ids_to_add[]=42 ",
    ]
