"""Django's own commands: ``python examples/django_gallery/manage.py createsuperuser``."""

import os
import sys
from pathlib import Path

# Instead of this folder: the packages beside it are meant, not the modules in it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_gallery.settings")
    execute_from_command_line(sys.argv)
