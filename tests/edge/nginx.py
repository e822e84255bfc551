"""Run nginx as docs/edge.md says, with docs/examples/nginx.conf at addresses of this machine."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.clients.web import Machine, free_port, serving
from tests.docs.printed import blocks
from tests.template.baking import TEMPLATE, run

CONF = (TEMPLATE / "docs" / "examples" / "nginx.conf").read_text(encoding="utf-8")
TEXT = (TEMPLATE / "docs" / "edge.md").read_text(encoding="utf-8")
AUTH = re.compile(r"    auth_basic.*\n")


@contextmanager
def nginx(
    folder: Path, tls: Path, bucket: str, pypi: str, tokens: Sequence[str] | None = None
) -> Iterator[Machine]:
    """Run the documented edge; `bucket` and `pypi` are the origins' addresses, without a path.

    `tokens` are lines of the token file; None lets everyone read.
    """
    folder.mkdir()
    made = Machine(folder, free_port())
    tls.with_suffix(".tokens").write_text("".join(f"{line}\n" for line in tokens or ()))
    conf = CONF if tokens is not None else AUTH.sub("", CONF)
    for printed, here in {
        "acme-packages.s3.eu-central-1.amazonaws.com": re.sub("https?://", "", bucket),
        "$pypi PYPI": f"$pypi {urlsplit(pypi).netloc}",
        "https://$": "http://$",
        "proxy_read_timeout 30s": "proxy_read_timeout 1s",
    }.items():
        assert printed in conf, printed
        conf = conf.replace(printed, here)
    with serving(conf, made, tls):
        yield made


def token_line(folder: Path, name: str, token: str) -> str:
    """Return a token's line as the printed command writes it."""
    [command] = [block for block in blocks(TEXT, "## nginx") if "passwd" in block]
    file = folder / f"{name}.tokens"
    here = command.replace("/etc/nginx/packages.tokens", str(file)).replace("alice-laptop", name)
    run(["bash", "-euc", here], folder, text=token)
    return file.read_text().strip()
