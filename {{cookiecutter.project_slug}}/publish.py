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
    if not sys.argv[1:] or (sys.argv[1][:1] == "-" and sys.argv[1] not in ("--help", "--version")):
        sys.argv.insert(1, "publish")
    sys.exit(main())
