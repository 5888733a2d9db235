"""The albums, their owners and their prompts.

All other data is in the ledger, and mirrored in the tables of ``mulequeue.contrib.django``.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models, transaction
from gallery import album as shown


class Album(models.Model):
    """The prompts of one form."""

    album_id = models.CharField(primary_key=True, max_length=32)
    owner = models.CharField(max_length=64, db_index=True)
    model = models.CharField(max_length=100)
    size = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.album_id

    def shown(self) -> shown.Album:
        """Return the album in the form that the gallery's pages use."""
        tried = self.prompts.filter(attempts__gt=0).values_list("place", "attempts")
        return shown.Album(self.album_id, self.model, self.size, dict(tried))

    def texts(self, first: int = 0, count: int | None = None) -> list[str]:
        """Return the prompts from this place on."""
        stop = None if count is None else first + count
        return list(self.prompts.values_list("text", flat=True)[first:stop])


class Prompt(models.Model):
    """One line of the form."""

    album = models.ForeignKey(Album, models.CASCADE, related_name="prompts")
    place = models.PositiveIntegerField()
    text = models.TextField()
    attempts = models.PositiveIntegerField(default=0)
    """The number of further attempts."""

    class Meta:
        ordering = ("place",)
        constraints = (models.UniqueConstraint(fields=["album", "place"], name="one_at_a_place"),)

    def __str__(self) -> str:
        return self.text[:80]


@transaction.atomic
def keep(album_id: str, owner: str, model: str, prompts: Sequence[str]) -> bool:
    """Store a new album. Return False, without a change, if it exists."""
    values = {"owner": owner, "model": model, "size": len(prompts)}
    album, is_new = Album.objects.get_or_create(pk=album_id, defaults=values)
    if is_new:
        rows = (Prompt(album=album, place=place, text=text) for place, text in enumerate(prompts))
        Prompt.objects.bulk_create(rows, batch_size=500)
    return bool(is_new)


def note_attempt(album_id: str, place: int, attempt: int) -> None:
    """Record another attempt at a prompt. Recording it twice has no effect."""
    before = Prompt.objects.filter(album_id=album_id, place=place, attempts=attempt - 1)
    before.update(attempts=attempt)
