"""Measure the size of the largest pages, and how soon a browser can use them.

`make bench ONLY=browsing` prints the table that is in docs/benchmarks.md.
"""

import shutil
import statistics
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from msgspec.structs import replace
from playwright.sync_api import Browser, sync_playwright

from benchmarks.large import PART
from benchmarks.report import Rows, markdown
from benchmarks.results import size
from benchmarks.team import PROJECT, Objects, Team, library, s3index_objects
from s3index import pages, people
from s3index.settings import CATALOGUE

RELEASES = 200
PROJECTS = 2_000
ROUNDS = 7


def main() -> None:
    """Measure and print the table."""
    print(markdown(measure()))


def measure() -> Rows:
    """Open the page of a project with 200 releases, and the catalogue of 2,000 projects."""
    index = library().index
    page = index.site(f"simple/{PROJECT}/")
    objects = s3index_objects(Team(2 * RELEASES, 0, own=2 * RELEASES))
    bodies = {page: objects[page], CATALOGUE: _catalogue(objects)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bodies))
    Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/"
    named = {f"page of {RELEASES} releases": page, f"catalogue of {PROJECTS:,} projects": CATALOGUE}
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        rows = [
            {"page": what, "weight": size(len(bodies[key])), **_opened(browser, base + key)}
            for what, key in named.items()
        ]
        browser.close()
    server.shutdown()
    return rows


def _catalogue(objects: Objects) -> bytes:
    """Return the catalogue of many projects, each with a summary of realistic length."""
    index = library().index
    page = pages.parse_project(objects[index.project_page(PROJECT)], "", PROJECT)
    summary = PART.splitlines()[2][:80]
    found = {
        f"acme-library-{number:04}": replace(
            pages.record(page, f"team-{number % 50}", summary), name=f"acme-library-{number:04}"
        )
        for number in range(PROJECTS)
    }
    return people.catalogue(found, index, None)


def _opened(browser: Browser, address: str) -> dict[str, str]:
    """Return the milliseconds until a page is usable, and until a search is done.

    Both are medians; a search is one input event, including the layout of its results.
    """
    loaded, searched = [], []
    for _ in range(ROUNDS):
        page = browser.new_page()
        page.goto(address)
        timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        loaded.append(float(page.evaluate(timing)))
        search = """() => {
            const field = document.getElementById('search');
            if (!field) return null;
            const before = performance.now();
            field.value = '19';
            field.oninput();
            document.body.offsetHeight;
            return performance.now() - before;
        }"""
        if (milliseconds := page.evaluate(search)) is not None:
            searched.append(float(milliseconds))
        page.close()
    found = f"{statistics.median(searched):.0f} ms" if searched else ""
    return {"usable after": f"{statistics.median(loaded):.0f} ms", "a letter typed": found}


def _handler(bodies: Objects) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            """Serve a page."""
            body = bodies.get(self.path[1:], b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    return Handler


if __name__ == "__main__":
    main()
