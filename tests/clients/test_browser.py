"""The site as a person sees it, in Chromium: filter, links, copying, a phone's width.

A screenshot of each page is left in `artefacts/`, which CI keeps; docs/index.png is one of them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from s3index import install
from tests.distributions import digest, sdist, wheel
from tests.template.baking import TEMPLATE
from tests.world import Library, at, release

# Without these Chromium talks to its maker in the background.
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"desktop": 1000, "phone": 390}
ARTEFACTS = TEMPLATE / "artefacts"


@pytest.fixture
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "Chromium is needed for this test: install Debian's package chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=QUIET)


@pytest.fixture
def site(library: Library, tmp_path: Path) -> str:
    """Publish three libraries, one of which has a yanked release; return the start page."""
    release(library, wheel(tmp_path), sdist(tmp_path))
    release(at(library, "7.0", "acme-orders"), wheel(tmp_path, "acme-orders", "7.0"))
    release(at(library, "2.1", "acme-payments"), wheel(tmp_path, "acme-payments", "2.1"))
    return library.index.address(library.index.site("index.html"))


@pytest.mark.full
@pytest.mark.parametrize("device", WIDTHS)
def test_from_the_start_page_to_a_file(
    library: Library, site: str, browser: Browser, tmp_path: Path, device: str
) -> None:
    context = browser.new_context(
        viewport={"width": WIDTHS[device], "height": 700},
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(site)
    shot(page, f"index-{device}.png")
    page.fill("#search", "PAY")
    shown = [row.get_attribute("data-name") for row in page.query_selector_all("a.package:visible")]
    assert shown == ["acme-payments"]
    page.fill("#search", "")
    page.click("a.package[data-name=acme-common]")
    shot(page, f"project-{device}.png")
    index = library.index
    commands = install.commands(index.url, index.bucket, library.name)
    for number, command in enumerate(commands.values()):
        button = page.locator("#install button").nth(number)
        button.click()
        assert page.evaluate("navigator.clipboard.readText()") == command
        page.wait_for_function(
            "button => button.textContent === 'Copied'", arg=button.element_handle()
        )
    with page.expect_download() as download:
        page.click("text=acme_common-0.1.0-py3-none-any.whl")
    got = tmp_path / "downloaded"
    download.value.save_as(got)
    assert digest(got) == digest(tmp_path / "acme_common-0.1.0-py3-none-any.whl")
    assert hosts == {urlsplit(site).netloc}
    context.close()


def shot(page: Page, name: str) -> None:
    """Keep a picture of the page, which must not be wider than the screen."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / name)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
