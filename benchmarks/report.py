"""Print results on a terminal, and write them to docs/benchmarks.md."""

import platform
import re
from importlib.metadata import version
from pathlib import Path
from string import Template

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import TEMPLATE
from benchmarks.results import Results, equal_table, main_table, targets

PAGE = TEMPLATE / "docs" / "benchmarks.md"
TEXT = Template(Path(__file__).with_name("page.md").read_text(encoding="utf-8"))
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

Rows = list[dict[str, str]]


def show(results: Results, choices: Rows) -> None:
    """Print the tables and the targets; `choices` is the table of `choosing`."""
    console = Console(width=None if Console().is_terminal else 160)
    for table in (main_table(results), equal_table(results), choices, _targets_table(results)):
        console.print(_rich(table))


def write(results: Results, choices: Rows) -> None:
    """Write the page of the documentation; `choices` is as for `show`."""
    page = TEXT.substitute(
        machine=machine(),
        versions=versions(),
        main=markdown(main_table(results)),
        equal=markdown(equal_table(results)),
        choices=markdown(choices),
        targets=markdown(_targets_table(results)),
    )
    PAGE.write_text(page, encoding="utf-8")


def machine() -> str:
    """Return the processor's model and number of cores, and Python's version."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    cores = f", {len(models)} cores" if models else ""
    return f"{model}{cores}, {platform.system()}, Python {platform.python_version()}"


def versions() -> str:
    """Return the versions of the measured tools, and of the server."""
    asked = re.findall(r"^[\w-]+", REQUIREMENTS.with_suffix(".in").read_text(), re.MULTILINE)
    locked = re.findall(r"^([\w-]+)\S*==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
    pinned = [f"{name} {number}" for name, number in locked if name in asked]
    return ", ".join([*pinned, *(f"{name} {version(name)}" for name in ("boto3", "moto"))])


def _targets_table(results: Results) -> Rows:
    return [
        {
            "target": target.wanted,
            "measured": target.measured,
            "": {True: "met", False: "not met", None: ""}[target.met],
        }
        for target in targets(results)
    ]


def _rich(rows: Rows) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*row.values())
    return table


def markdown(rows: Rows) -> str:
    """Return a table as Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
