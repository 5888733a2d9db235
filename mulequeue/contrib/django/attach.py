"""``attach``: save the file of a generation into a ``FileField`` of a row.

The name of the file depends only on the generation, the index of the asset and ``upload_to``. If a worker is
killed after it saved the file and before it saved the row, the next delivery therefore replaces that file.
"""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from celery import Signature
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connections, models, router, transaction

from mulequeue.contrib.django.filesystem import field_url, save_as
from mulequeue.contrib.files import open_file, suffix_of
from mulequeue.errors import ConfigurationError, DownloadError, InputError, StorageError
from mulequeue.outcome import File, Outcome
from mulequeue.tasks.base import TASK_OPTIONS, LeasedTask
from mulequeue.tasks.shared_task import shared_task
from mulequeue.transfer.path_template import path_part

if TYPE_CHECKING:
    from mulequeue.engine.followups.attempts import Attempt
    from mulequeue.settings import Settings

MAX_MISSING = 8
"""Attempts, in about ten minutes, for a row that does not exist: its transaction may not have committed yet."""


def attach(
    target: models.Model | type[models.Model] | str, field: str, *, pk: Any = None, index: int = 0
) -> Signature:
    """Return the signature of a task that saves the file of an outcome into a field of a row.

    In a chain the task replaces ``download``: ``generate.s(…) | attach(product, "image")``. In
    ``generate_many(…, each=attach(Product, "image"), metadata=[{"pk": product.pk}, …])`` the ``metadata`` of each
    member names its row. The file is saved in the storage of the field, under its ``upload_to``, and the row is
    saved with its signals. An outcome that did not succeed is returned unchanged.

    :param target: a saved row; or a model or its label (``"shop.Product"``), with the primary key in ``pk``
        or in the metadata of the generation.
    :param field: name of a ``FileField`` or ``ImageField``.
    :param pk: primary key of the row; None: ``metadata["pk"]``.
    :param index: index of the asset.
    :returns: a signature whose result is the outcome with the file.
    :raises InputError: the row is not saved, or the model has no such field.
    """
    if isinstance(target, models.Model):
        if target.pk is None:
            raise InputError(
                f"Save the {target._meta.verbose_name} before a file is attached to it."
            )
        pk, target = target.pk, type(target)
    label = target if isinstance(target, str) else target._meta.label
    try:
        find_field(label, field)
    except ConfigurationError as exc:
        raise InputError(str(exc)) from None
    return attach_task.s(label, field, pk=pk, index=index)


@shared_task(bind=True, base=LeasedTask, name="mulequeue.attach", **TASK_OPTIONS)
def attach_task(
    self: Any,
    outcome: Mapping[str, Any],
    model: str,
    field: str,
    *,
    pk: Any = None,
    index: int = 0,
) -> dict[str, Any]:
    """Save the file of an outcome into a field of a row; :func:`attach` makes the signature."""
    from mulequeue.engine.followups import download

    return download.download(self, outcome, Target(model, field, pk, index).store)


def find_field(label: str, name: str) -> models.FileField:
    """Return the file field of a model.

    :param label: of the model: ``shop.Product``.
    :raises ConfigurationError: this project has no such model.
    :raises InputError: the model has no such field, or the field holds no files.
    """
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        raise ConfigurationError(
            f"INSTALLED_APPS has no model {label!r}. Write APP.MODEL, such as shop.Product."
        ) from None
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    if not isinstance(field, models.FileField):
        known = [each.name for each in model._meta.fields if isinstance(each, models.FileField)]
        raise InputError(
            f"{label} has no file field {name!r}. Its file fields: {', '.join(known) or 'none'}."
        )
    return field


@dataclass(frozen=True, slots=True)
class Target:
    """The field of a row, and the index of the asset whose file is saved in the field."""

    model: str
    field: str
    pk: Any
    index: int

    def store(
        self, outcome: Outcome, settings: Settings, attempt: Attempt | None
    ) -> tuple[File, ...]:
        """Save the file, then the row.

        :raises DownloadError: the file cannot be fetched or saved, the database reports an error, or there is no
            such row and attempts are left.
        :raises InputError: there is no such row, field or asset, or the name of the file is too long.
        :raises ConfigurationError: this project has no such model.
        """
        try:
            return (self._store(outcome, settings, attempt),)
        except DatabaseError as exc:
            raise StorageError(f"The {self.model} cannot be saved: {exc}") from exc
        finally:
            if attempt is not None:
                connections.close_all()  # an attempt may run in a separate thread

    def _store(self, outcome: Outcome, settings: Settings, attempt: Attempt | None) -> File:
        field, row = find_field(self.model, self.field), self._row(outcome)
        if row is None:
            raise self._missing(attempt)
        with _source(outcome, self.index, settings, attempt) as (content, file):
            stem = path_part(outcome.remote_id or outcome.task_id)
            number = f"-{self.index}" if self.index else ""
            name = _name(field, row, outcome, f"{stem}{number}{suffix_of(file)}")
            save_as(field.storage, name, content)
        if not _write(field, row, name):
            field.storage.delete(name)
            raise self._missing(attempt)
        return replace(file, url=field_url(field, name))

    def _row(self, outcome: Outcome) -> models.Model | None:
        pk = outcome.metadata.get("pk") if self.pk is None else self.pk
        if pk is None:
            raise InputError(
                f'attach does not know which {self.model} to fill. Pass pk=…, or metadata={{"pk": …}} to '
                "each generation."
            )
        model = apps.get_model(self.model)
        return model._base_manager.using(router.db_for_write(model)).filter(pk=pk).first()

    def _missing(self, attempt: Attempt | None) -> Exception:
        text = f"The {self.model} of the file does not exist."
        if attempt is None or attempt.number >= MAX_MISSING:
            return InputError(f"{text} Its outcome has the file for as long as the API keeps it.")
        return DownloadError(text)


@contextmanager
def _source(
    outcome: Outcome, index: int, settings: Settings, attempt: Attempt | None
) -> Iterator[tuple[IO[bytes], File]]:
    """Open the file of an asset: the file that ``download`` stored, else a temporary file fetched from the API.

    :raises InputError: the outcome has no such asset.
    """
    from mulequeue.engine.followups.download import store_in

    if not -len(outcome.assets) <= index < len(outcome.assets):
        raise InputError(
            f"The generation has {len(outcome.assets)} asset(s); there is no index {index}."
        )
    with ExitStack() as stack:
        files = outcome.files
        if not files:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mulequeue-"))
            files = store_in(folder, "{task_id}-{index}.{ext}")(outcome, settings, attempt)
        yield stack.enter_context(open_file(files[index], settings)), files[index]


def _name(field: models.FileField, row: models.Model, outcome: Outcome, base: str) -> str:
    """Return the name in the field's storage. Dates in ``upload_to`` are those of the submission, in UTC.

    :raises InputError: the name is longer than the field allows.
    """
    if callable(field.upload_to):
        name = str(field.generate_filename(row, base))
    else:
        submitted = datetime.fromisoformat(outcome.submitted_at or "1970-01-01").astimezone(UTC)
        folder = submitted.strftime(str(field.upload_to))
        name = str(field.storage.generate_filename(posixpath.join(folder, base)))
    if field.max_length and len(name) > field.max_length:
        raise InputError(
            f"{name!r} is longer than the {field.max_length} characters of {field.name}. Raise its "
            "max_length."
        )
    return name


def _write(field: models.FileField, row: models.Model, name: str) -> bool:
    """Save the row with the name of the file, unless it has that name; return whether the row exists."""
    model, database = type(row), router.db_for_write(type(row))
    rows = model._base_manager.using(database).filter(pk=row.pk)
    with transaction.atomic(using=database):
        if connections[database].features.has_select_for_update:
            rows = rows.select_for_update()
        else:  # SQLite waits for the write lock only if the transaction has read nothing yet
            rows.update(**{field.attname: models.F(field.attname)})
        locked = rows.first()
        if locked is not None and getattr(locked, field.attname).name != name:
            setattr(locked, field.attname, name)
            locked.save(using=database, update_fields=_fields_to_save(field))
    return locked is not None


def _fields_to_save(field: models.FileField) -> list[str]:
    """Return the names of the field, of the fields for an image's size, and of those with ``auto_now``."""
    sizes = {getattr(field, "width_field", None), getattr(field, "height_field", None)}
    return [
        each.name
        for each in field.model._meta.concrete_fields
        if each.name in {field.name, *sizes} or getattr(each, "auto_now", False)
    ]
