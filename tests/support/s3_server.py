"""An S3 server of the test's own: moto's, as a process, on a free loopback port."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests

from support.ports import free_port
from support.programs import program
from support.waiting import wait_until

BUCKET = "pictures"


@dataclass(frozen=True)
class S3Server:
    """The server and a client that sees more of it than mulequeue does."""

    endpoint: str
    client: Any

    @property
    def options(self) -> dict[str, Any]:
        """``mulequeue_storage_options`` for it."""
        return {"endpoint_url": self.endpoint, "key": "mule", "secret": "mule"}

    def list(self) -> list[str]:
        """Every object of the bucket."""
        listed = self.client.list_objects_v2(Bucket=BUCKET)
        return [it["Key"] for it in listed.get("Contents", [])]

    def unfinished(self) -> Sequence[str]:
        """Every multipart upload that was neither completed nor aborted."""
        listed = self.client.list_multipart_uploads(Bucket=BUCKET)
        return [it["Key"] for it in listed.get("Uploads", [])]

    def read(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run the server with one empty bucket.

    :param folder: of its log.
    """
    port = free_port()
    command = [program("moto_server", 'pip install "moto[server]"'), "-H", "127.0.0.1"]
    log = folder / "s3.log"
    endpoint = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "-p", str(port)], stdout=output, stderr=output)
    try:
        wait_until(lambda: _answers(endpoint), seconds=60, what="the S3 server to answer")
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id="mule",
            aws_secret_access_key="mule",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=BUCKET)
        yield S3Server(endpoint, client)
    finally:
        process.kill()
        process.wait()


def _answers(endpoint: str) -> bool:
    try:
        return requests.get(f"{endpoint}/moto-api/", timeout=5).ok
    except requests.ConnectionError:
        return False
