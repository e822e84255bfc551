"""Buckets that fail, for an edge to stand before: each answers everything in its one way."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

FAULTS = ("400", "403", "429", "500", "503", "hangs", "closes", "refuses", "half a page")


@contextmanager
def failing(fault: str) -> Iterator[str]:
    """Run a bucket with one of FAULTS; yields its address."""
    if fault == "refuses":
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{nobody.getsockname()[1]}"
        return
    done = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if fault.isdigit():
                self.send_error(int(fault))
            elif fault == "hangs":
                done.wait(20)
            elif fault == "half a page":
                self.send_response(200)
                self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"meta":')
            self.close_connection = True

        do_HEAD = do_GET  # noqa: N815 (the name that http.server looks for)

        def log_message(self, *arguments: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        done.set()
        server.shutdown()
        server.server_close()
        thread.join()
