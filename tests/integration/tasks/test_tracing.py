"""Generations in the traces of processes that use OpenTelemetry or Sentry."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.subprocess_pytest import ROOT, run_pytest

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize(
    ("sample", "env", "passed"),
    [
        ("check_opentelemetry.py", {}, 9),
        ("check_opentelemetry.py", {"USE_SPAN_LINKS": "1"}, 1),
        ("check_sentry.py", {}, 4),
    ],
    ids=["parents", "links", "Sentry"],
)
def test_a_generation_stays_in_its_trace(
    tmp_path: Path, sample: str, env: dict[str, str], passed: int
) -> None:
    """One trace from the web request to the stored file, or traces that are linked."""
    pytest.importorskip("opentelemetry.instrumentation.celery")
    pytest.importorskip("sentry_sdk")
    shutil.copy(SAMPLES / sample, tmp_path)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])

    done = run_pytest(tmp_path, sample, "-q", PYTHONPATH=path, **env)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"{passed} passed" in done.stdout
