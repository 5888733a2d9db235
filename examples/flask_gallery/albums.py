"""The albums, their owners and their prompts in an SQLite file. All other data is in the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from gallery.album import Album

_SCHEMA = """
create table if not exists album (id text primary key, owner text, model text, size integer, at text default current_timestamp);
create table if not exists prompt (album text, place integer, text text, primary key (album, place)) without rowid;
create table if not exists again (album text, place integer, attempt integer, text text, primary key (album, place, attempt)) without rowid;
create index if not exists album_owner on album (owner, at);
"""


class Albums:
    """The database of the albums.

    :param path: the path of the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as db:
            db.executescript(_SCHEMA)
            columns = [row[1] for row in db.execute("pragma table_info(again)")]
            if "text" not in columns:  # the file is from before prompts could be edited
                db.execute("alter table again add column text text")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=20)) as db, db:
            yield db

    def add(self, album_id: str, owner: str, model: str, prompts: Sequence[str]) -> bool:
        """Store a new album. Return False, without a change, if it exists."""
        rows = [(album_id, place, text) for place, text in enumerate(prompts)]
        with self._open() as db:
            new = (album_id, owner, model, len(rows))
            added = db.execute(
                "insert or ignore into album (id, owner, model, size) values (?, ?, ?, ?)", new
            )
            db.executemany("insert or ignore into prompt values (?, ?, ?)", rows)
            return added.rowcount == 1

    def remove(self, album_id: str) -> None:
        """Delete an album."""
        with self._open() as db:
            db.execute("delete from prompt where album = ?", [album_id])
            db.execute("delete from album where id = ?", [album_id])

    def find(self, album_id: str, owner: str | None = None) -> Album | None:
        """Return the album, or None if it does not exist or belongs to another owner."""
        with self._open() as db:
            row = db.execute(
                "select owner, model, size from album where id = ?", [album_id]
            ).fetchone()
            if row is None or owner not in (None, row[0]):
                return None
            tried = "select place, max(attempt) from again where album = ? group by place"
            return Album(album_id, row[1], row[2], dict(db.execute(tried, [album_id]).fetchall()))

    def of(self, owner: str, most: int = 20) -> list[tuple[Album, str]]:
        """Return the owner's newest albums, each with its first prompt."""
        text = (
            "select id, model, size, text from album join prompt on album = id and place = 0 "
            "where owner = ? order by at desc, album.rowid desc limit ?"
        )
        with self._open() as db:
            return [(Album(*row[:3]), row[3]) for row in db.execute(text, [owner, most])]

    def originals(self, album_id: str) -> list[str]:
        """Return the prompts as they were sent first."""
        text = "select text from prompt where album = ? order by place"
        with self._open() as db:
            return [row[0] for row in db.execute(text, [album_id])]

    def texts(self, album_id: str, places: Sequence[int]) -> list[str]:
        """Return the prompts at these places, each as its newest attempt has it."""
        marks = ", ".join("?" * len(places))
        text = f"""select prompt.place, coalesce((select again.text from again where again.album = prompt.album
            and again.place = prompt.place order by attempt desc limit 1), prompt.text)
            from prompt where album = ? and place in ({marks})"""
        with self._open() as db:
            found = dict(db.execute(text, [album_id, *places]).fetchall())
        return [found[place] for place in places]

    def attempts(self, album_id: str, place: int) -> list[str]:
        """Return the prompts of all attempts at a place, the first one first."""
        first = "select text from prompt where album = ? and place = ?"
        further = "select text from again where album = ? and place = ? order by attempt"
        with self._open() as db:
            (original,) = db.execute(first, [album_id, place]).fetchone()
            rows = db.execute(further, [album_id, place]).fetchall()
        return [original, *(row[0] or original for row in rows)]

    def note_attempt(self, album_id: str, place: int, attempt: int, text: str) -> None:
        """Record another attempt at a prompt. Recording it twice has no effect."""
        with self._open() as db:
            new = [album_id, place, attempt, text]
            db.execute("insert or ignore into again values (?, ?, ?, ?)", new)
