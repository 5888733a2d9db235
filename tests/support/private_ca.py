"""A certificate authority that nobody knows, and servers with its certificates."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class PrivateCA:
    bundle: Path
    """The CA's own certificate: what clients have to be given."""
    context: ssl.SSLContext
    """Of a server with a certificate for the names."""


def private_ca(folder: Path, *names: str) -> PrivateCA:
    """Make a CA with openssl, and let it sign a certificate for host names."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt install openssl")
    ca_key, ca = folder / "ca-key.pem", folder / "ca.pem"
    key, request, cert = folder / "key.pem", folder / "request.pem", folder / "cert.pem"
    extensions = folder / "extensions.cnf"
    extensions.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
    new_key = "openssl req -newkey rsa:2048 -nodes -days 2"
    for command in (
        f"{new_key} -x509 -keyout {ca_key} -out {ca} -subj /CN=private-ca",
        f"{new_key} -keyout {key} -out {request} -subj /CN={names[0]}",
        f"openssl x509 -req -in {request} -CA {ca} -CAkey {ca_key} -CAcreateserial -days 2"
        f" -out {cert} -extfile {extensions}",
    ):
        subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return PrivateCA(ca, context)
