"""The pages work in Chromium: find a library, assess it, copy its command, install it.

Screenshots go to `artefacts/`, which CI keeps; two of them are in docs/.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.version import Version
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from s3index import install
from s3index.publish import yank
from s3index.s3 import Bucket
from s3index.settings import CATALOGUE
from tests.distributions import digest, sdist, wheel
from tests.publisher.test_readme_text import HOSTILE
from tests.template.baking import TEMPLATE
from tests.world import Library, at, release

pytestmark = pytest.mark.full

# Without these, Chromium contacts Google in the background.
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEVICES = {"desktop": (1000, 800), "phone": (390, 800)}
ARTEFACTS = TEMPLATE / "artefacts"
AXE = TEMPLATE / ".node" / "node_modules" / "axe-core" / "axe.min.js"
README = """\
Summary: Retries, configuration and logging for every service
License: MIT
Author-email: The platform team <platform@example.com>
Project-URL: Source, https://git.example.com/acme/acme-common
Project-URL: Documentation, https://docs.example.com/acme-common
Description-Content-Type: text/markdown

# acme-common

What every service of Acme starts with.

```python
from acme_common import retry

@retry(times=3)
def fetch():  # tries three times
    ...
```

| option | meaning |
| --- | --- |
| `times` | how often it tries |
| `wait` | seconds between two attempts |
"""
CHANGELOG = """\
# Changelog

## [1.1.0] - 2026-11-20

- `retry` waits longer each time.
- Configuration may come from the environment alone.

## [1.0.0] - 2026-10-01

- First.
"""
OTHERS = {
    "acme-orders": ("orders", "Orders as every service sees them"),
    "acme-payments": ("orders", "Talks to the payment providers"),
    "acme-frames": ("data", "Data frames with units"),
    "acme-log": ("devtools", "Structured logs"),
}


@pytest.fixture
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "Chromium is needed for this test: install Debian's package chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=QUIET)


@pytest.fixture
def site(library: Library, tmp_path: Path) -> Library:
    """Publish the libraries of three teams; acme-common 0.9.0 is yanked."""
    core = at(library, "2.1", "acme-core", "data")
    release(core, wheel(tmp_path, "acme-core", "2.1", about="Summary: What the others stand on\n"))
    for version in ("0.9.0", "1.0.0"):
        files = [make(tmp_path, version=version) for make in (wheel, sdist)]
        release(at(library, version), *files)
    why = "loses records"
    Bucket(library.index).run(yank(library.index, library.name, Version("0.9.0"), why))
    version, requires = "1.1.0", ("acme-core>=2",)
    newest = replace(library, version=version)
    release(
        newest,
        wheel(tmp_path, version=version, requires=requires, about=README),
        sdist(tmp_path, version=version, requires=requires, about=README, changelog=CHANGELOG),
    )
    for number, (name, (team, summary)) in enumerate(OTHERS.items()):
        version = f"1.{number}"
        about = f"Summary: {summary}\n"
        release(at(library, version, name, team), wheel(tmp_path, name, version, about=about))
    return newest


class Watched:
    """A browser context that records the hosts requested, and scripts' messages and errors."""

    def __init__(self, context: BrowserContext) -> None:
        """Watch a context."""
        self.context = context
        self.hosts: set[str] = set()
        self.said: list[str] = []
        context.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        context.on("console", lambda message: self.said.append(message.text))
        context.on("weberror", lambda error: self.said.append(str(error.error)))
        context.on("dialog", lambda dialog: self.said.append(dialog.message))


def watched(browser: Browser, device: str = "desktop", scheme: str = "light") -> Watched:
    width, height = DEVICES[device]
    return Watched(
        browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )
    )


def shot(page: Page, name: str) -> None:
    """Save a screenshot of the page, which must not be wider than the screen."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name


def copied(page: Page, number: int = 0) -> str:
    """Press a command's button; return what it put on the clipboard."""
    button = page.locator(".command button").nth(number)
    button.click()
    page.wait_for_function("button => button.textContent === 'Copied'", arg=button.element_handle())
    return str(page.evaluate("navigator.clipboard.readText()"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", DEVICES)
def test_find_a_library_and_install_it(
    site: Library, browser: Browser, tmp_path: Path, device: str, scheme: str
) -> None:
    seen = watched(browser, device, scheme)
    page = seen.context.new_page()
    page.goto(site.index.address(CATALOGUE))
    shot(page, f"catalogue-{device}-{scheme}")
    page.get_by_label("Search").fill("retries SERVICE")
    names = page.locator("#projects > li:visible > a")
    assert names.all_inner_texts() == ["acme-common"]
    assert page.get_by_role("status").text_content() == "1 of 6 projects"
    page.get_by_label("Search").fill("nobody has it")
    assert names.count() == 0
    assert page.get_by_text("0 of 6 projects").bounding_box()["height"] > 10  # type: ignore[index]
    # Accents do not matter.
    page.get_by_label("Search").fill("Rétries")
    assert names.all_inner_texts() == ["acme-common"]
    page.get_by_label("Search").fill("acme_Co")
    assert names.all_inner_texts() == ["acme-common", "acme-core"]
    names.first.click()
    shot(page, f"project-{device}-{scheme}")
    index = site.index
    commands = list(install.commands(index.url, index.bucket, site.name).values())
    assert copied(page) == commands[0]
    for number, client in enumerate(("uv", "Poetry"), 1):
        page.locator("summary", has_text=client).click()
        assert copied(page, number) == commands[number]
    # constraints.txt maps names to URLs in the bucket, so pip needs no index.
    target = tmp_path / "installed"
    command = [*commands[0].split()[1:], "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "-q", *command], check=True)
    assert (target / "acme_common").is_dir()
    assert (target / "acme_core").is_dir()
    text = page.locator("main").inner_text()
    assert "waits longer each time" in text
    assert "yanked: loses records" in text
    with page.expect_download() as download:
        page.click("text=acme_common-1.1.0-py3-none-any.whl")
    got = tmp_path / "downloaded"
    download.value.save_as(got)
    assert digest(got) == digest(tmp_path / "acme_common-1.1.0-py3-none-any.whl")
    page.click("text=acme-core>=2")
    assert page.locator("h1").inner_text() == "acme-core 2.1"
    page.click("text=data")
    assert page.locator("h1").inner_text() == "Packages of data"
    assert names.all_inner_texts() == ["acme-core", "acme-frames"]
    page.click("text=All packages")
    assert len(names.all()) == 6
    assert seen.hosts == {urlsplit(index.url).netloc}
    assert seen.said == []


def test_by_keyboard_and_on_paper(site: Library, browser: Browser) -> None:
    seen = watched(browser)
    page = seen.context.new_page()
    page.goto(site.index.address(CATALOGUE))
    page.get_by_label("Search").focus()
    page.keyboard.type("acme-common")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/acme-common/")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.command button')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.textContent === 'Copied'")
    assert page.get_by_role("status").text_content() == "Copied"
    page.emulate_media(media="print")
    assert page.locator("button:visible").count() == 0
    assert page.get_by_text("acme_common-1.0.0.tar.gz").is_visible()


def test_a_release_that_a_feed_leads_to_is_open(site: Library, browser: Browser) -> None:
    page = watched(browser).context.new_page()
    page.goto(f"{site.index.page_address(site.name)}#v1.0.0")
    assert page.get_by_text("acme_common-1.0.0.tar.gz").is_visible()


def test_a_hostile_readme_changes_nothing_around_it(
    library: Library, browser: Browser, tmp_path: Path
) -> None:
    text = "\n\n".join(HOSTILE.values())
    about = f"Summary: {HOSTILE['script']}\nDescription-Content-Type: text/markdown\n\n{text}\n"
    release(library, wheel(tmp_path, about=about))
    seen = watched(browser)
    page = seen.context.new_page()
    page.goto(library.index.page_address(library.name))
    index = library.index
    assert copied(page) == install.commands(index.url, index.bucket, library.name)["pip"]
    box = page.locator(".command pre").first.bounding_box()
    assert box
    covered = page.evaluate(
        "([x, y]) => !document.elementFromPoint(x, y).closest('.command pre')",
        [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2],
    )
    assert not covered
    assert page.locator("h1").inner_text() == "acme-common 0.1.0"
    assert page.locator(".summary").inner_text() == HOSTILE["script"]
    page.wait_for_load_state("networkidle")
    assert seen.hosts == {urlsplit(index.url).netloc}
    assert seen.said == []
    assert page.url == index.page_address(library.name)


def test_the_policy_of_a_page_stops_what_gets_past_the_rest(
    library: Library, browser: Browser, tmp_path: Path
) -> None:
    """A script injected into a page does not run and makes no request."""
    release(library, wheel(tmp_path))
    seen = watched(browser)
    page = seen.context.new_page()
    address = library.index.page_address(library.name)
    evil = '<script>document.title = "run"</script><img src="http://127.0.0.1:9/x"><h2'

    def changed(route: Route) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, body=reply.text().replace("<h2", evil, 1))

    failed: list[str | None] = []
    page.on("requestfailed", lambda request: failed.append(request.failure))
    page.route(address, changed)
    page.goto(address)
    assert page.title() != "run"
    assert failed == ["csp"]
    assert [said for said in seen.said if "Content Security Policy" in said]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(site: Library, browser: Browser, scheme: str) -> None:
    gone = "acme-log"
    logs = replace(site.index, team="devtools")
    Bucket(logs).run(yank(logs, gone, Version("1.3"), True))
    addresses = [
        site.index.address(CATALOGUE),
        site.index.address(site.index.site("index.html")),
        site.index.page_address(site.name),
        site.index.page_address(gone),
    ]
    context = browser.new_context(
        bypass_csp=True, color_scheme="dark" if scheme == "dark" else "light"
    )
    for address in addresses:
        page = context.new_page()
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
        page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run().then((results) => results.violations)")
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert serious == [], json.dumps(serious, indent=1)[:3_000]
        assert [each["id"] for each in found] == []
