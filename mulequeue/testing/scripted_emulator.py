"""The emulated API with outcomes scripted by prompt."""

from __future__ import annotations

from typing import Any

from mulequeue.emulator import EmulatorProcess

SECONDS = 0.1
"""The default duration of a generation."""


class ScriptedEmulator(EmulatorProcess):
    """The emulator, with outcomes scripted by prompt::

    emulator.script("a cat", fails=3001)            # fails with that code
    emulator.script("a dog", refused=422)           # rejected: never created
    emulator.script("a fox", lost=True)             # created, but the response is lost
    emulator.script("a mule", never=True)           # active at every status check
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
        """Set the outcome of generations whose prompt contains this text.

        If several texts match a prompt, the latest call applies.

        :param fails: the generation fails with this error code at the end of its duration.
        :param detail: the text of the failure or of the rejection.
        :param seconds: the duration.
        :param polls: the generation ends with the N-th poll instead of after a time.
        :param never: the generation does not end.
        :param empty: the generation completes without assets.
        :param refused: the create is rejected with this HTTP status (422, 429, 503, …).
        :param times: the number of creates that are rejected or lost; None: all.
        :param lost: the generation is created, but the response to the create does not arrive.
        """
        end = "failed" if fails is not None else "never" if never else "empty" if empty else None
        life = {"end": end, "code": fails, "detail": detail, "seconds": seconds, "polls": polls}
        self._first("lives", {"contains": prompt, **_given(life)})
        if refused is not None or lost:
            do = {"do": "drop_after"} if lost else {"do": "status", "status": refused}
            more = _given({"count": times, "detail": detail})
            self._first("creates", {"contains": prompt, **do, **more})

    def prompts(self) -> list[str]:
        """Return the prompts of all generations in the order of creation."""
        return [str(item["prompt"]) for item in self.generations()]

    def _first(self, kind: str, item: dict[str, Any]) -> None:
        known = self._object("GET", "faults")[kind]
        self.faults(**{kind: [item, *known]})


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
