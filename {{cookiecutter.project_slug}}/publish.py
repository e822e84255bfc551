# /// script
# requires-python = ">=3.11"
# dependencies = ["__TEMPLATE_REQUIREMENT__"]
# ///
"""Publish with s3index, in its own environment: `pipx run publish.py --dry-run`.

To run another command, name it first: `pipx run publish.py verify`. `--help` lists them.
"""

import sys

from s3index.__main__ import main

if __name__ == "__main__":
    first = sys.argv[1] if len(sys.argv) > 1 else "-"
    if first.startswith("-") and first not in ("--help", "--version"):
        sys.argv.insert(1, "publish")
    sys.exit(main())
