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

    def originals(self) -> list[str]:
        """Return the prompts as they were sent first."""
        return list(self.prompts.values_list("text", flat=True))

    def texts(self, places: Sequence[int]) -> list[str]:
        """Return the prompts at these places, each as its newest attempt has it."""
        found = dict(self.prompts.filter(place__in=places).values_list("place", "text"))
        tried = Attempt.objects.filter(prompt__album=self, prompt__place__in=places)
        found |= dict(tried.order_by("number").values_list("prompt__place", "text"))
        return [found[place] for place in places]

    def attempts(self, place: int) -> list[str]:
        """Return the prompts of all attempts at a place, the first one first."""
        prompt = self.prompts.get(place=place)
        texts = dict(prompt.tries.values_list("number", "text"))
        return [texts.get(number, prompt.text) for number in range(prompt.attempts + 1)]


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


class Attempt(models.Model):
    """A further attempt at a prompt, whose text may differ."""

    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="tries")
    number = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["prompt", "number"], name="one_of_a_number"),
        )

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


@transaction.atomic
def note_attempt(album_id: str, place: int, attempt: int, text: str) -> None:
    """Record another attempt at a prompt. Recording it twice has no effect."""
    prompt = Prompt.objects.get(album_id=album_id, place=place)
    if prompt.attempts == attempt - 1:
        Attempt.objects.create(prompt=prompt, number=attempt, text=text)
        Prompt.objects.filter(pk=prompt.pk).update(attempts=attempt)
