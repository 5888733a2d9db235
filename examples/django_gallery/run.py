"""Start the gallery in Django with one command: ``python examples/django_gallery/run.py``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Replace this folder by its parent, so that imports find the packages beside it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from gallery.fleet import running_fleet  # noqa: E402

from mulequeue.local.processes import free_port  # noqa: E402

DATA = Path(__file__).parent / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0: a free port")
    parser.add_argument("--data", type=Path, default=DATA, help="folder for all data")
    given = parser.parse_args()
    os.environ["GALLERY_DATA"] = str(given.data.resolve())
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_gallery.settings"
    with running_fleet("django_gallery", given.data.resolve(), before=migrate):
        from django.core.management import call_command

        port = given.port or free_port()
        print(f"The gallery is on http://127.0.0.1:{port}/", flush=True)
        # Each open album holds one thread for its events, for at most a minute.
        call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, insecure_serving=True)


def migrate() -> None:
    """Create the tables before the worker writes to them."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


if __name__ == "__main__":
    main()
