"""The gallery in Django: project and app in one package."""

from django_gallery.celery import app as celery_app

__all__ = ["celery_app"]
