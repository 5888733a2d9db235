"""The Celery app, as in Celery's documentation for Django."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_gallery.settings")
app = Celery("django_gallery")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
