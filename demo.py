"""Go from the template's questions to an installed release, all on this machine: `make demo`."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPLATE = Path(__file__).parent
ANSWERS = {
    "organization": "Acme",
    "project_name": "Common",
    "team": "devtools",
    # The oldest Python that the template supports, so that any newer one can install the library.
    "python_version": "3.11",
}
USE = """
from importlib.metadata import version
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import acme_common.metrics as metrics

reader = InMemoryMetricReader()
metrics.configure(reader)
seconds = metrics.create_histogram("demo.duration", unit="s", description="How long a sum takes")
with metrics.timed(seconds):
    sum(range(1_000_000))
[resource] = reader.get_metrics_data().resource_metrics
[metric] = resource.scope_metrics[0].metrics
[point] = metric.data.data_points
seen = f"{metric.name}, {point.count} record, {point.sum:.3f} s"
print(f"acme-common {version('acme-common')}: {seen}")
"""


def main() -> None:
    """Bake acme-common, publish two versions, install the newest one and use it."""
    # A shell starts background jobs with SIGINT ignored; the preview would never stop.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="s3-lib-template-") as folder:
        home = Path(folder)
        say("1. Answer the template's questions: organisation Acme, library Common, team devtools.")
        library = bake(home)
        say(f"   A repository: {library.name}/.")
        say("2. Publish 0.1.0 to an S3 server that lives only as long as this demo.")
        with preview(library) as (index, environment):
            say(f"   The organisation's index: {index}")
            say("3. Change the version to 0.2.0 and publish again.")
            bump(library, "0.1.0", "0.2.0")
            run(["s3index", "publish"], library, environment)
            command = ["pip", "install", "-c", f"{index}constraints.txt", "acme-common"]
            say("4. Install it as another team would, in a clean virtual environment:")
            say(f"   {' '.join(command)}")
            consumer = virtual_environment(home / "consumer")
            run([str(consumer), "-m", *command, "-qq"], home)
            say("5. Import it and record a histogram, with OpenTelemetry's SDK as applications do:")
            run([str(consumer), "-m", "pip", "install", "opentelemetry-sdk", "-qq"], home)
            say(f"   {run([str(consumer), '-c', USE], home).strip()}")
    say("Done. The server is stopped and the files are gone.")


def say(line: str) -> None:
    """Print one line and flush it."""
    print(line, flush=True)


def run(command: list[str], cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command and return its stdout; exit with its output if it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def bake(home: Path) -> Path:
    """Generate the repository from ANSWERS, with the defaults for the rest."""
    settings = home / "cookiecutter.yaml"
    settings.write_text(f"cookiecutters_dir: {home / 'templates'}\nreplay_dir: {home / 'replay'}\n")
    # The output is not shown: the hook's closing message is for someone who continues by hand.
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input"]
    command += ["--config-file", str(settings), "--output-dir", str(home)]
    run(command + [f"{key}={value}" for key, value in ANSWERS.items()], home)
    return home / "acme-common"


def bump(library: Path, old: str, new: str) -> None:
    """Change the version in pyproject.toml."""
    path = library / "pyproject.toml"
    path.write_text(path.read_text().replace(f'version = "{old}"', f'version = "{new}"'))


@contextmanager
def preview(library: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run `s3index preview`; yield the index's URL and the environment to publish in."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        ["s3index", "preview"],
        cwd=library,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        printed = ""
        while "Ctrl-C" not in printed:
            line = process.stdout.readline()
            if not line:
                sys.exit(f"the preview ended early:\n{printed}")
            printed += line
        index = re.search(r"(http://\S+?)/acme-packages/simple/", printed)
        assert index, printed
        yield (
            index[0],
            environment
            | {
                "AWS_ENDPOINT_URL_S3": index[1],
                "AWS_ACCESS_KEY_ID": "demo",
                "AWS_SECRET_ACCESS_KEY": "demo",
            },
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)


def virtual_environment(folder: Path) -> Path:
    """Create a virtual environment with pip; return its interpreter."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


if __name__ == "__main__":
    main()
