"""Run moto's server as its own process: `python s3server.py` prints its address.

moto checks a condition and then stores, and another thread can come between; S3 does both
atomically. So this server handles one request at a time: any update that concurrent clients lose
is then their own fault.
"""

import functools
import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto import backends
from moto.core import utils
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def quicken() -> None:
    """Halve the time per request: moto lists its own folder each time, botocore's on errors."""
    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    named = functools.cache(utils.service_name_from_moto_package_name)
    utils.service_name_from_moto_package_name = named
    MotoRequestHandler.protocol_version = "HTTP/1.1"
    MotoRequestHandler.disable_nagle_algorithm = True


_moto = DomainDispatcherApplication(create_backend_app)
_lock = threading.Lock()


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer one request at a time."""
    with _lock:
        return list(_moto(environ, start_response))


if __name__ == "__main__":
    quicken()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler
    )
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
