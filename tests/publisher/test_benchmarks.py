"""The benchmarks' claims about what clients fetch before they choose hold on a smaller scale."""

import importlib
from typing import TYPE_CHECKING

import pytest

from tests.template.baking import TEMPLATE

if TYPE_CHECKING:
    from benchmarks.choosing import Choice

MEGABYTE = 1_000_000


@pytest.mark.full
@pytest.mark.usefixtures("s3")  # undoes the settings that measuring makes
def test_core_metadata_saves_the_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TEMPLATE))
    choosing = importlib.import_module("benchmarks.choosing")
    found: list[Choice] = choosing.measure(megabytes=1)
    before = {(choice.client, choice.metadata): choice.received for choice in found}
    assert before["pip", True] < MEGABYTE / 50
    assert before["uv", True] < MEGABYTE / 50
    assert before["pip", False] > 4 * MEGABYTE
    assert before["uv", True] < before["uv", False] < MEGABYTE
    assert all(choice.in_all > MEGABYTE for choice in found)


@pytest.mark.full
@pytest.mark.usefixtures("s3")
def test_what_an_edge_costs_in_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TEMPLATE))
    edge = importlib.import_module("benchmarks.edge")
    found = {(one.client, one.way): one.requests for one in edge.measure()}
    assert found == {
        ("pip", "directly"): 23,
        ("pip", "edge"): 26,
        ("uv", "directly"): 46,
        ("uv", "edge"): 26,
    }
