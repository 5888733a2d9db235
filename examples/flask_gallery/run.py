"""Start the gallery in Flask with one command: ``python examples/flask_gallery/run.py``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Replace this folder by its parent, so that imports find the packages beside it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from gallery.fleet import running_fleet  # noqa: E402

DATA = Path(__file__).parent / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000, help="0: a free port")
    parser.add_argument("--data", type=Path, default=DATA, help="folder for all data")
    given = parser.parse_args()
    os.environ["GALLERY_DATA"] = str(given.data.resolve())
    with running_fleet("flask_gallery.worker", given.data.resolve()):
        from werkzeug.serving import make_server

        from flask_gallery.app import create_app

        # Each open album holds one thread for its events, for at most a minute.
        server = make_server("127.0.0.1", given.port, create_app(), threaded=True)
        print(f"The gallery is on http://127.0.0.1:{server.port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
