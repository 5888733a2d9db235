"""Redis servers with a socket, a password, TLS, or sentinels."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import redis

from support.redis_server import free_port, redis_binary
from support.waiting import wait_until

PASSWORD = "pass-1234"


@contextmanager
def redis_with(folder: Path, *options: str, port: int | None = None) -> Iterator[int]:
    """A Redis with these options; its port."""
    port = port or free_port()
    given = list(options)
    if "--port" not in given:
        given += ["--port", str(port)]
    command = [redis_binary(), *given, "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        where = int(given[given.index("--tls-port") + 1]) if "--tls-port" in given else port
        wait_until(lambda: _listens(where), seconds=10, what="redis-server")
        yield where
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    client = redis.Redis(port=port, socket_timeout=2)
    try:
        client.ping()
    except redis.AuthenticationError:
        return True
    except redis.RedisError as exc:
        return "refused" not in str(exc)
    finally:
        client.close()
    return True


class Certificate:
    """A CA and a certificate for 127.0.0.1, made with openssl."""

    def __init__(self, folder: Path) -> None:
        self.ca, self._key = folder / "ca.crt", folder / "server.key"
        self._certificate, request = folder / "server.crt", folder / "server.csr"
        names = folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        new = ["req", "-newkey", "rsa:2048", "-nodes"]
        self._openssl(
            *new,
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=test CA",
            "-keyout",
            folder / "ca.key",
            "-out",
            self.ca,
        )
        self._openssl(*new, "-subj", "/CN=localhost", "-keyout", self._key, "-out", request)
        self._openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            self.ca,
            "-CAkey",
            folder / "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            names,
            "-out",
            self._certificate,
        )

    def _openssl(self, *args: object) -> None:
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

    def server_options(self) -> list[str]:
        """For a Redis that speaks TLS only."""
        return [
            "--port",
            "0",
            "--tls-port",
            str(free_port()),
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            str(self._certificate),
            "--tls-key-file",
            str(self._key),
            "--tls-ca-cert-file",
            str(self.ca),
        ]


class Sentinels:
    """A master and two sentinels that watch it as ``mymaster``."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self.master = self._stack.enter_context(redis_with(folder))
        self.ports = [self._stack.enter_context(self._sentinel(folder, i)) for i in range(2)]

    @contextmanager
    def _sentinel(self, folder: Path, number: int) -> Iterator[int]:
        port, config = free_port(), folder / f"sentinel{number}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor mymaster 127.0.0.1 {self.master} 1\n"
        )
        process = subprocess.Popen(
            [redis_binary(), os.fspath(config), "--sentinel"],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until(lambda: _listens(port), seconds=10, what="sentinel")
            yield port
        finally:
            process.terminate()
            process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
