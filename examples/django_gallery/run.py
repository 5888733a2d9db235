"""The gallery in Django, with one command: ``python examples/django_gallery/run.py``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Instead of this folder: the packages beside it are meant, not the modules in it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from gallery.fleet import running_fleet  # noqa: E402

from mulequeue.local.processes import free_port  # noqa: E402

DATA = Path(__file__).parent / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0: a free one")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of everything that is kept")
    given = parser.parse_args()
    os.environ["GALLERY_DATA"] = str(given.data.resolve())
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_gallery.settings"
    with running_fleet("django_gallery", given.data.resolve(), before=migrate):
        from django.core.management import call_command

        port = given.port or free_port()
        print(f"The gallery is on http://127.0.0.1:{port}/", flush=True)
        # Threads: every open album holds one for its events, for a minute at most.
        call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, insecure_serving=True)


def migrate() -> None:
    """Make the tables, before the worker writes into them."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


if __name__ == "__main__":
    main()
