"""Redis servers with a socket, a password, TLS, or sentinels."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import redis

from support.ports import free_port
from support.private_ca import private_ca
from support.redis_server import VISIBLE_ENVIRONMENT, redis_binary
from support.tls_front import tls_in_front_of
from support.waiting import wait_until

PASSWORD = "pass-1234"


@contextmanager
def redis_with(folder: Path, *options: str, port: int | None = None) -> Iterator[int]:
    """A Redis with these options; its port."""
    port = port or free_port()
    given = list(options)
    if "--port" not in given:
        given += ["--port", str(port)]
    given += ["--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *VISIBLE_ENVIRONMENT]
    command = [redis_binary(), *given]
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


@contextmanager
def redis_with_tls(folder: Path, *, ca: str) -> Iterator[tuple[int, Path]]:
    """A Redis that speaks TLS as ``localhost``: its port, and the CA bundle that clients need.

    A program that was built without TLS, as the embedded Valkey, gets it put in front.

    :param ca: the CA's extensions.
    """
    authority = private_ca(folder, "localhost", ca=ca)
    if b"SSL_CTX_new" not in Path(redis_binary()).read_bytes():
        with (
            redis_with(folder) as plain,
            tls_in_front_of(plain, authority.cert, authority.key) as port,
        ):
            yield port, authority.bundle
        return
    options = ["--port", "0", "--tls-port", str(free_port()), "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", str(authority.cert), "--tls-key-file", str(authority.key)]
    options += ["--tls-ca-cert-file", str(authority.bundle)]
    with redis_with(folder, *options) as port:
        yield port, authority.bundle


class Sentinels:
    """Sentinels that watch a master as ``mymaster``; two of them agree that it is gone.

    :param master: its port; None: a master of their own, with no replica.
    """

    def __init__(self, folder: Path, *, master: int | None = None, count: int = 2) -> None:
        self._stack = ExitStack()
        self.master = master or self._stack.enter_context(redis_with(folder))
        self.ports = [self._stack.enter_context(self._sentinel(folder, i)) for i in range(count)]

    @contextmanager
    def _sentinel(self, folder: Path, number: int) -> Iterator[int]:
        port, config = free_port(), folder / f"sentinel{number}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor mymaster 127.0.0.1 {self.master} 2\n"
            "sentinel down-after-milliseconds mymaster 1000\n"
            "sentinel failover-timeout mymaster 5000\n"
            "set-proc-title no\n"
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

    def wait_to_meet(self, *, replicas: int) -> None:
        """Until each knows the other ones and the replicas: from then on a failover can succeed."""
        others = len(self.ports) - 1

        def have_met() -> bool:
            known = [self._asked(port) for port in self.ports]
            return all(
                (others, replicas) == (m["num-other-sentinels"], m["num-slaves"]) for m in known
            )

        wait_until(have_met, what="the sentinels to meet")

    def wait_for_another_master(self) -> int:
        """Until all of them name another master than the first one; its port."""

        def named() -> int:
            ports = {int(self._asked(port)["port"]) for port in self.ports}
            return ports.pop() if len(ports) == 1 and self.master not in ports else 0

        return wait_until(named, seconds=40, what="a failover")

    def _asked(self, port: int) -> dict[str, Any]:
        with redis.Redis(port=port) as client:
            return dict(client.sentinel_master("mymaster"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
