"""A certificate authority that nobody knows, and servers with its certificates."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CA = "basicConstraints=critical,CA:TRUE"
"""The extensions of a CA as many companies have them: without ``keyUsage``."""
WHOLE_CA = f"{CA}\nkeyUsage=critical,keyCertSign,cRLSign"
"""Those that RFC 5280 asks for, and Python from 3.13 on; openssl adds the key identifiers."""


@dataclass(frozen=True)
class PrivateCA:
    bundle: Path
    """The CA's own certificate: what clients have to be given."""
    cert: Path
    key: Path
    """Of a server with a certificate for the names."""

    @property
    def context(self) -> ssl.SSLContext:
        """Of the server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def private_ca(
    folder: Path,
    *names: str,
    ca: str = CA,
    ca_days: int = 2,
    server: str | None = None,
    server_days: int = 2,
    is_intermediate: bool = False,
) -> PrivateCA:
    """Make a CA with openssl, and let it sign a certificate for host names.

    :param ca: the CA's extensions, one per line.
    :param ca_days: how long the CA is valid; 0: it has expired.
    :param server: the extensions of the server's certificate; None: the host names.
    :param server_days: the same of the server's certificate.
    :param is_intermediate: the CA is signed by a root that is not in the bundle.
    """
    if server is None:
        server = "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)
    root = _certificate(folder / "root", "root", CA) if is_intermediate else None
    authority = _certificate(folder / "ca", "private-ca", ca, days=ca_days, issuer=root)
    cert = _certificate(folder / "cert", names[0], server, days=server_days, issuer=authority)
    return PrivateCA(authority, cert, _key(cert))


def _certificate(
    path: Path, subject: str, extensions: str, *, days: int = 2, issuer: Path | None = None
) -> Path:
    """Make a key and a certificate that the issuer signs, or the key itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt install openssl")
    cert, request = path.with_suffix(".pem"), path.with_suffix(".csr")
    path.with_suffix(".cnf").write_text(extensions)
    signer = (
        f"-CA {issuer} -CAkey {_key(issuer)} -CAcreateserial"
        if issuer
        else f"-signkey {_key(cert)}"
    )
    new_key = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    for command in (
        f"{new_key} -keyout {_key(cert)} -out {request} -subj /CN={subject}",
        f"openssl x509 -req -in {request} {signer} -days {days} -out {cert}"
        f" -extfile {path.with_suffix('.cnf')}",
    ):
        subprocess.run(command.split(), check=True, capture_output=True)
    return cert


def _key(cert: Path) -> Path:
    return cert.with_name(f"{cert.stem}-key.pem")
