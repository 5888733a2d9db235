"""The gallery's task."""

from __future__ import annotations

from celery import shared_task
from gallery import album as shown

from django_gallery.models import Album


@shared_task(**shown.TASK_OPTIONS)
def start_album(album_id: str) -> None:
    """Enqueue an album in a worker, because 10,000 messages take too long for a web request."""
    if album := Album.objects.filter(pk=album_id).first():
        shown.start(album.shown(), album.originals())
