"""Read, check and download another index's files of a project, with pypi-simple."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedRepoVersionError
from requests import PreparedRequest, RequestException
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3 import Retry

from s3index.distribution import parse_filename
from s3index.errors import Refused
from s3index.publish import Known

TIMEOUT = 60
"""Seconds to wait for a reply."""
RETRY = Retry(total=4, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504))
AS_IS = {"Accept-Encoding": "identity"}
"""Some servers declare a .tar.gz as gzip-encoded, and requests would decompress it."""


class _Password(AuthBase):
    """Basic authentication for the index's host alone: its files may be on other hosts."""

    def __init__(self, host: str, user: str, password: str) -> None:
        self._host, self._basic = host, HTTPBasicAuth(user, password)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return self._basic(request) if urlsplit(request.url or "").netloc == self._host else request


def download(
    url: str, project: str, folder: Path, watch: Callable[[int, str], None]
) -> tuple[list[Path], dict[str, Known], list[str]]:
    """Download a project's files from the simple index (PEP 503, PEP 691) at `url` into a folder.

    User and password come from the URL or from netrc; `watch` is called for each file with the
    number of files and its name. Return the files, what the index says about them, and a line for
    each that is not a wheel or sdist of the project. Raise Refused, naming the file, if one has no
    digest or not the one in the index, and if the index does not reply.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme not in ("http", "https") or not host:
        raise Refused("The index's address must start with http:// or https://.")
    password = None
    if parts.username is not None:
        password = _Password(host, unquote(parts.username), unquote(parts.password or ""))
    known: dict[str, Known] = {}
    refused = []
    doing = "Its page"
    with PyPISimple(urlunsplit((parts.scheme, host, parts.path, "", "")), password) as index:
        for scheme in ("http://", "https://"):
            index.s.mount(scheme, HTTPAdapter(max_retries=RETRY))
        try:
            page = index.get_project_page(project, timeout=TIMEOUT)
            for package in page.packages:
                doing = package.filename
                if wrong := _not_ours(doing, project):
                    refused.append(wrong)
                elif doing not in known:
                    watch(len(page.packages), doing)
                    yanked = package.is_yanked and (package.yanked_reason or True)
                    known[doing] = (package.upload_time, yanked)
                    index.download_package(package, folder / doing, timeout=TIMEOUT, headers=AS_IS)
        except NoSuchProjectError:
            raise Refused(f"The index at {host} has no {project}.") from None
        except (RequestException, UnsupportedRepoVersionError, ValueError) as error:
            raise Refused(
                f"{doing} could not be downloaded from {host}, so nothing was imported: "
                f"{error!s:.500}"
            ) from None
    return [folder / name for name in known], known, refused


def _not_ours(filename: str, project: str) -> str | None:
    """Return why a file cannot belong to the project, None if it can."""
    try:
        name, _ = parse_filename(filename)
    except Refused as refusal:
        return str(refusal)
    return None if name == project else f"{filename} belongs to {name}, not to {project}."
