"""Whatever is in the bucket or in dist/, a command ends with a result or a one-line reason.

More than 20,000 cases of documents, buckets and archives run in processes of their own, which
measure their memory and their writes outside the temporary folder.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {"documents": 15_000, "bucket": 1_200, "archives": 4_000}


@pytest.mark.full
@pytest.mark.parametrize("what", CASES)
def test_what_somebody_else_made(what: str, tmp_path: Path) -> None:
    temporary, empty = tmp_path / "tmp", tmp_path / "empty"
    temporary.mkdir()
    empty.mkdir()
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzzing.py"), what, str(CASES[what])],
        cwd=empty,
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5_000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["cases"] >= CASES[what]
    assert said["outside"] == []
    assert list(empty.iterdir()) == []
    assert said["memory"] < 300
