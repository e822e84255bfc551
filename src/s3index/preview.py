"""Run the index on this machine: the same publish, to an S3 server in this process."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from s3index.provision import create_bucket
from s3index.settings import Index, Project, load


@contextmanager
def embedded(root: Path) -> Iterator[tuple[Index, Project]]:
    """Run moto's S3 on a free local port with this repository's bucket in it, empty and public.

    Yield the repository's settings with the server's addresses in place of AWS's. From then on, the
    process's AWS settings point to the server.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            os.environ.pop(name, None)
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "preview",
            "AWS_SECRET_ACCESS_KEY": "preview",
        }
        index, project = load(root)
        _make_bucket(index)
        yield replace(index, url=f"{endpoint}/{index.bucket}"), project
    finally:
        server.stop()


def _make_bucket(index: Index) -> None:
    s3 = boto3.client("s3", index.region)
    create_bucket(s3, index)
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{index.bucket}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [everybody]}
    s3.put_bucket_policy(Bucket=index.bucket, Policy=json.dumps(policy))
