"""The Celery app for ``celery -A flask_gallery.worker worker``."""

from flask_gallery.app import create_app

celery = create_app().extensions["celery"]
