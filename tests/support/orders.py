"""What a person does in the Flask gallery, without a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence

import requests

from support.waiting import wait_until


class Person:
    """Somebody with a session in the gallery at that address."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def order(self, prompts: Sequence[str]) -> str:
        """Send the form; the address of the album."""
        page = self._session.get(self._url, timeout=30).text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        form = {**hidden, "prompts": "\n".join(prompts), "model": "alibaba/wan2.6-t2i"}
        answer = self._session.post(self._url, data=form, timeout=30)
        assert answer.history, answer.text
        return answer.url

    def pictures(self, album: str, count: int, seconds: float = 60.0) -> list[bytes]:
        """Wait until the album shows so many; their content."""

        def shown() -> list[str]:
            page = self._session.get(album, timeout=30).text
            found = re.findall(r'<img[^>]* src="([^"]+)"', page)
            return found if len(found) == count else []

        paths = wait_until(shown, seconds=seconds, what=f"{count} pictures in the album")
        return [self._session.get(f"{self._url}{path}", timeout=30).content for path in paths]
