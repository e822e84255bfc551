"""Everything that follows from the project pages, and how it only moves forward.

The team page, dumb-pypi's HTML and constraints.txt each say which serials of which project pages
they were made from. An object is swapped only for one whose serials are all at least as high, so
that none goes back to an older state, whoever writes and in whatever order.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256

from s3index import page as pages
from s3index import site
from s3index.config import Config, Refused
from s3index.page import Page
from s3index.steps import Put, Steps, Stored, ask, get_all

REVALIDATED = "no-cache"

Objects = Mapping[str, Stored | None]


def forward_project(config: Config, page: Page, objects: Objects) -> Steps[bool]:
    """Bring a project's objects, given as they were read, to what its page says or beyond.

    Returns whether anything was written.
    """

    def wanted(objects: Objects) -> Steps[list[Put]]:
        yield from ask([])
        # What has a higher serial was written by a publisher that knows a newer page than ours.
        rendered = site.project_site(page, config)
        return [
            derived_put(key, rendered[key], stored)
            for key, stored in objects.items()
            if key in rendered
            and made_from({key: stored}, config).get(page["name"], 0) <= serial(page)
        ]

    return _settle(objects, wanted)


def forward_team(config: Config, page: Page, objects: Objects) -> Steps[bool]:
    """Bring the team's objects, given as they were read, to what one project page says or beyond.

    Returns whether anything was written. Raises Refused if an object knows a newer state of a
    project than the project's page, which has then been lost.
    """
    team = pages.join(pages.new_team(), [pages.record(page)])

    def wanted(objects: Objects) -> Steps[list[Put]]:
        nonlocal team
        stored = objects.get(config.keys.team_page)
        if stored:
            there = pages.parse_team(stored.body, config.keys.team_page)
            team = pages.join(there, team["projects"])
        team = yield from _catch_up(config, team, made_from(objects, config))
        bodies = site.team_site(team, config)
        return [
            page_put(key, team, stored)
            if key == config.keys.team_page
            else derived_put(key, bodies[key], stored)
            for key, stored in objects.items()
        ]

    return _settle(objects, wanted)


def page_put(key: str, page: Page, stored: Stored | None) -> Put:
    """Return the request that creates a page, or swaps it for the one that was read."""
    return _put(key, pages.dump(page), pages.CONTENT_TYPE, stored)


def derived_put(key: str, body: bytes, stored: Stored | None) -> Put:
    """Return the request that creates a derived object, or swaps it for the one that was read."""
    return _put(key, body, site.content_type(key), stored)


def made_from(objects: Objects, config: Config) -> dict[str, int]:
    """Return the highest serial of each project that any of the objects was made from."""
    made: dict[str, int] = {}
    for key, stored in objects.items():
        if stored and key == config.keys.team_page:
            found = pages.serials(pages.parse_team(stored.body, key))
        else:
            found = site.serials_of(stored.body) if stored else {}
        made = {name: max(made.get(name, 0), found.get(name, 0)) for name in made | found}
    return made


def project_page(stored: Stored | None, config: Config, name: str) -> Page:
    """Return the page of a project as it was read, or a new one if there is none."""
    if stored is None:
        return pages.new_project(name)
    return pages.parse_project(stored.body, config.keys.project_page(name))


def serial(page: Page) -> int:
    """Return how often a project page has been changed."""
    return int(page["meta"]["_last-serial"])


def refuse_older(page: Page, made: Mapping[str, int], config: Config) -> None:
    """Raise Refused if something was made from a newer state of the project than this page."""
    name = page["name"]
    if made.get(name, 0) > serial(page):
        raise Refused(
            f"The page at {config.keys.project_page(name)} is lost or was put back to an older "
            "state: other objects know a newer one. Run `python -m s3index repair`."
        )


def _settle(objects: Objects, wanted: Callable[[Objects], Steps[list[Put]]]) -> Steps[bool]:
    """Write what differs until nothing does; what was lost to others is read and asked again."""
    written = False
    while objects:
        puts = [put for put in (yield from wanted(objects)) if differs(objects[put.key], put)]
        replies = yield from ask(puts)
        written = written or any(replies)
        lost = [put.key for put, reply in zip(puts, replies, strict=True) if not reply]
        objects = yield from get_all(lost)
    return written


def _catch_up(config: Config, team: Page, made: Mapping[str, int]) -> Steps[Page]:
    """Return the team page with what others have told its objects, but not the page, yet."""
    known = pages.serials(team)
    ahead = [name for name in made if made[name] > known.get(name, 0)]
    found = yield from get_all([config.keys.project_page(name) for name in ahead])
    read = [
        project_page(stored, config, name)
        for name, stored in zip(ahead, found.values(), strict=True)
    ]
    for page in read:
        refuse_older(page, made, config)
    return pages.join(team, [pages.record(page) for page in read])


def differs(stored: Stored | None, put: Put) -> bool:
    """Tell whether a PUT would change the object that was read."""
    return stored is None or stored.body != put.body


def _put(key: str, body: bytes, content_type: str, stored: Stored | None) -> Put:
    etag = stored.etag if stored else None
    return Put(key, body, sha256(body).hexdigest(), content_type, REVALIDATED, etag)
