"""Django's own commands: ``python examples/django_gallery/manage.py createsuperuser``."""

import os
import sys
from pathlib import Path

# Replace this folder by its parent, so that imports find the packages beside it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_gallery.settings")
    execute_from_command_line(sys.argv)
