"""The emulated API with outcomes scripted by prompt."""

from __future__ import annotations

from typing import Any

from mulequeue.emulator import EmulatorProcess

SECONDS = 0.1
"""How long a generation takes that nothing else was said of."""


class ScriptedEmulator(EmulatorProcess):
    """The emulator, and a word for what becomes of a prompt::

    emulator.script("a cat", fails=3001)            # fails with that code
    emulator.script("a dog", refused=402)           # no funds: never created
    emulator.script("a fox", lost=True)             # created, and the answer lost
    emulator.script("a mule", never=True)           # still active whenever it is asked
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_seconds": SECONDS, "max_seconds": SECONDS, **options})

    def script(
        self,
        prompt: str,
        *,
        fails: int | None = None,
        detail: str | None = None,
        seconds: float | None = None,
        polls: int | None = None,
        never: bool = False,
        empty: bool = False,
        refused: int | None = None,
        times: int | None = None,
        lost: bool = False,
    ) -> None:
        """Say what becomes of generations whose prompt contains this text; the latest word holds.

        :param fails: it fails with this error code, after its time.
        :param detail: the text of the failure or of the refusal.
        :param seconds: how long it takes.
        :param polls: it ends with this poll instead.
        :param never: it does not end.
        :param empty: it completes without any asset.
        :param refused: the create is refused with this HTTP status (402, 429, 503, …).
        :param times: how many creates are refused or lost; None: all.
        :param lost: the create works, and its answer never arrives.
        """
        end = "failed" if fails is not None else "never" if never else "empty" if empty else None
        life = {"end": end, "code": fails, "detail": detail, "seconds": seconds, "polls": polls}
        self._first("lives", {"contains": prompt, **_given(life)})
        if refused is not None or lost:
            do = {"do": "drop_after"} if lost else {"do": "status", "status": refused}
            more = _given({"count": times, "detail": detail})
            self._first("creates", {"contains": prompt, **do, **more})

    def prompts(self) -> list[str]:
        """The prompts of all generations that were created, in order."""
        return [str(item["prompt"]) for item in self.generations()]

    def _first(self, kind: str, item: dict[str, Any]) -> None:
        known = self._object("GET", "faults")[kind]
        self.faults(**{kind: [item, *known]})


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
