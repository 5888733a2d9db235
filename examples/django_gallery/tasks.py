"""What the worker does for the gallery."""

from __future__ import annotations

from celery import shared_task
from gallery import album as shown

from django_gallery.models import Album


@shared_task(**shown.TASK_OPTIONS)
def start_album(album_id: str) -> None:
    """In a worker, because ten thousand messages take longer than a person likes to wait."""
    if album := Album.objects.filter(pk=album_id).first():
        shown.start(album.shown(), album.texts())
