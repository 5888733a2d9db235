"""An HTTP proxy as companies run one: CONNECT and absolute-form, with or without a password."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit


class ProxyServer:
    """Knows where names lead that nobody else can resolve; so whatever arrives came through it.

    :param hosts: loopback port by ``name:port`` of the target.
    :param login: ``user:password`` that it asks for; None: nothing.
    :param tls: it speaks TLS, as ``localhost``; None: it does not.
    """

    def __init__(
        self,
        hosts: Mapping[str, int],
        *,
        login: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.targets: list[str] = []
        """``CONNECT name:port`` or ``METHOD name:port`` of every request that it let through."""
        self.refused: list[str] = []
        """The same of those without the right login (407), or to an unknown name (502)."""
        self._hosts, self._login = dict(hosts), login
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._origin = "https://{}localhost" if tls else "http://{}127.0.0.1"
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self._server = self._wait(starting)
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        login = f"{self._login}@" if self._login else ""
        return f"{self._origin.format(login)}:{self.port}"

    def stop(self) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _close(self) -> None:
        self._server.close()
        me = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not me]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            await self._pass_on(head, reader, writer)
        writer.close()

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line, _, rest = head.decode("latin-1").partition("\r\n")
        method, url, version = line.split()
        where = urlsplit(f"//{url}" if method == "CONNECT" else url)
        target = f"{where.hostname}:{where.port or 80}"
        refusal = self._refusal(target, rest)
        if refusal:
            self.refused.append(f"{method} {target}")
            writer.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        self.targets.append(f"{method} {target}")
        upstream, down = await asyncio.open_connection("127.0.0.1", self._hosts[target])
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = f"{where.path or '/'}?{where.query}".rstrip("?")
            # One request a connection: the next one may be for another host.
            down.write(
                f"{method} {path} {version}\r\nConnection: close\r\n{rest}".encode("latin-1")
            )
        await asyncio.gather(_copy(reader, down), _copy(upstream, writer))

    def _refusal(self, target: str, headers: str) -> str | None:
        if self._login is not None:
            expected = base64.b64encode(self._login.encode()).decode()
            if f"proxy-authorization: basic {expected}".lower() not in headers.lower():
                return '407 Login needed\r\nProxy-Authenticate: Basic realm="proxy"'
        return None if target in self._hosts else "502 Unknown host"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
