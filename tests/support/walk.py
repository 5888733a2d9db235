"""Follows a page from its first block to its last: files, commands, pieces of Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from support.fleet import KEY, Fleet
from support.pages import Block, blocks
from support.ports import free_port
from support.terminal import Terminals

_PYTHON = ("python", "py")


class Walk:
    """One page in a folder of its own, with a fleet for whoever does not start one.

    :param page: its path, seen from docs.
    :param not_run: the starts of commands and pieces that are not run. Of a piece the imports are.
    :param before: Python that stands before every piece: the names that the page takes for granted.
    :param instead: more texts of the page and what is typed instead.
    """

    def __init__(
        self,
        page: str,
        folder: Path,
        fleet: Fleet,
        *,
        not_run: tuple[str, ...] = (),
        before: str = "",
        instead: Mapping[str, str] | None = None,
    ) -> None:
        self.page, self.folder, self._not_run, self._before = page, folder, not_run, before
        commands = [command for block in blocks(page) for command in block.commands]
        own_redis = any(command.startswith("redis-server") for command in commands)
        own_api = any(command.startswith("mulequeue emulator") for command in commands)
        redis_port = free_port() if own_redis else fleet.redis.port
        api_port = free_port() if own_api else int(fleet.emulator.url.rpartition(":")[2])
        self._redis_url = f"redis://127.0.0.1:{redis_port}/0"
        env = {
            "MULEROUTER_BASE_URL": f"http://127.0.0.1:{api_port}",
            "MULEROUTER_API_KEY": KEY,
            "MULEQUEUE_NOTIFICATION_SECRET": fleet.env["MULEQUEUE_NOTIFICATION_SECRET"],
            **({} if own_redis else {"MULEQUEUE_REDIS_URL": self._redis_url}),
        }
        replaced = {
            "6379": str(redis_port),
            "8787": str(api_port),
            "sk-mr-…": KEY,
            "muk-…": KEY,
            "whsec_…": fleet.env["MULEQUEUE_NOTIFICATION_SECRET"],
        }
        self.terminals = Terminals(folder, {**replaced, **(instead or {})}, env)
        self._pieces = 0

    def follow(self) -> list[str]:
        """Type and run all of it; what the commands said on standard output."""
        said = []
        for block in blocks(self.page):
            if block.name:
                self._write(block)
            elif block.language in _PYTHON:
                self._run_piece(self._before + block.text, is_run=not self._is_listed(block.text))
            for command in block.commands:
                if not self._is_listed(command):
                    said.append(self._type(command))
        return said

    def _is_listed(self, text: str) -> bool:
        return text.startswith(self._not_run)

    def _type(self, command: str) -> str:
        answer = self.terminals.type(command)
        if command.startswith("redis-server"):
            # As for a reader, whose Redis is where mulequeue looks by itself.
            self.terminals.type(f"export MULEQUEUE_REDIS_URL={self._redis_url}")
        return answer

    def _write(self, block: Block) -> None:
        self.terminals.save(block)
        if block.name and block.language in _PYTHON:
            self.terminals.type(f"python -m support.piece {shlex.quote(block.name)}")

    def _run_piece(self, text: str, *, is_run: bool) -> None:
        self._pieces += 1
        name = f"piece_{self._pieces}.py"
        (self.folder / name).write_text(self.terminals.replaced(text))
        option = "" if is_run else "--only-imports "
        self.terminals.type(f"python -m support.piece {option}{name}")

    def close(self) -> None:
        """End what stays on."""
        self.terminals.close()
