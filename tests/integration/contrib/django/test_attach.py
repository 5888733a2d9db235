"""``attach``: the file of a generation is in a field of its row."""

from __future__ import annotations

from typing import Any

import requests
from support.django_project import DjangoProject, on_all_databases, row_when
from support.generations import MODEL, new_id
from support.waiting import wait_until

IMPORTS = """
from shop.models import Product
from mulequeue.contrib.django import attach, send_on_commit
"""
SEND = (
    IMPORTS
    + """
with transaction.atomic():
    product = Product.objects.create(name={name!r})
    picture = mulequeue.generate.s({model!r}, {{"prompt": {name!r}, "n": 1}}, poll_interval=0.1)
    send_on_commit(picture.set(task_id={task_id!r}) | {between}attach(product, "image"))
answer = product.pk
"""
)
FIELDS = """
from shop.models import Product
product = Product.objects.get(pk={pk})
answer = [product.image.name, product.width, product.saves]
"""


def send(project: DjangoProject, task_id: str, name: str = "a mule", between: str = "") -> int:
    """Create a product and enqueue its picture; the product's primary key."""
    call = SEND.format(name=name, model=MODEL, task_id=task_id, between=between)
    pk: int = project.shell(call)
    return pk


def product_with_image(project: DjangoProject, pk: int) -> list[Any]:
    """Name and width of the product's image, and how often it was saved, once it has one."""

    def look() -> list[Any] | None:
        fields: list[Any] = project.shell(FIELDS.format(pk=pk))
        return fields if fields[0] else None

    return wait_until(look, what=f"the image of product {pk}")


@on_all_databases
def test_a_picture_is_in_the_row(project: DjangoProject) -> None:
    """The file is in the field's storage under its upload_to, and the row is saved once, with its size."""
    task_id = new_id()

    pk = send(project, task_id)

    name, width, saves = product_with_image(project, pk)
    row = row_when(project, task_id, state="succeeded")
    assert f"products/{row['submitted_at'][:4]}/{row['remote_id']}.png" == name
    assert width > 0
    assert 2 == saves
    [file] = wait_until(
        lambda: row_when(project, task_id, state="succeeded")["files"], what="files in the row"
    )
    assert f"django-field://shop.Product.image/{name}" == file["url"]
    urls = project.shell(f"answer = Generation.objects.get(pk={task_id!r}).urls")
    assert [f"/media/{name}"] == urls
    picture = requests.get(project.url + urls[0], timeout=10).content
    assert (True, file["bytes"]) == (picture.startswith(b"\x89PNG"), len(picture))


def test_a_stored_file_is_copied_into_the_field(project: DjangoProject) -> None:
    """Behind download it takes the file that is stored, and asks the asset host once."""
    before = project.fleet.emulator.stats()["downloads"]

    pk = send(project, new_id(), between="mulequeue.download.s() | ")

    assert product_with_image(project, pk)[0].startswith("products/")
    assert 1 == project.fleet.emulator.stats()["downloads"] - before


def test_each_member_of_a_batch_finds_its_row(project: DjangoProject) -> None:
    """The primary key is in the metadata; the file is fetched once, and the batch counts it."""
    project.fleet.emulator.faults(lives=[{"contains": "bad", "end": "failed"}])
    batch_id = new_id("batch")
    before = project.fleet.emulator.stats()["downloads"]

    pks = project.shell(
        IMPORTS
        + f"""
with transaction.atomic():
    products = [Product.objects.create(name=name) for name in ("one", "bad", "two")]
    send_on_commit(mulequeue.generate_many(
        {MODEL!r},
        [{{"prompt": product.name, "n": 1}} for product in products],
        metadata=[{{"pk": product.pk}} for product in products],
        each=attach(Product, "image"),
        batch_id={batch_id!r},
        poll_interval=0.1,
    ))
answer = [product.pk for product in products]
"""
    )

    first, last = product_with_image(project, pks[0]), product_with_image(project, pks[2])
    assert first[0] != last[0]
    assert ["", None, 1] == project.shell(FIELDS.format(pk=pks[1]))
    queries = project.fleet.ledger.queries
    wait_until(lambda: 2 == queries.batch(batch_id).downloaded, what="two stored members")
    assert 2 == project.fleet.emulator.stats()["downloads"] - before


def test_killed_between_the_file_and_the_row(project: DjangoProject) -> None:
    """Another worker replaces the file and saves the row: one file, one payment."""
    hang, hangs = project.folder / "hang-save", project.folder / "hangs-save"
    before = project.fleet.emulator.stats()["creates"]
    task_id = new_id()
    hang.touch()
    pk = send(project, task_id)
    wait_until(hangs.exists, what="a worker between the file and the row")
    folder = next((project.folder / "media" / "products").iterdir())
    remote_id = project.fleet.ledger.queries.record(task_id).remote_id
    assert [f"{remote_id}.png"] == [path.name for path in folder.glob(f"*{remote_id}*")]

    project.kill_worker()
    hang.unlink()
    hangs.unlink()
    project.start_worker()

    name, *_ = product_with_image(project, pk)
    assert f"{remote_id}.png" == name.rpartition("/")[2]
    assert [f"{remote_id}.png"] == [path.name for path in folder.glob(f"*{remote_id}*")]
    assert 1 == project.fleet.emulator.stats()["creates"] - before


def test_it_is_not_sent_if_the_transaction_rolls_back(project: DjangoProject) -> None:
    """A canvas that cannot be serialized raises at once; nothing is sent after a rollback."""
    task_id = new_id()

    told = project.shell(
        IMPORTS
        + f"""
answer = []
for text, fails in (("a", True), (object(), False)):
    try:
        with transaction.atomic():
            picture = mulequeue.generate.s({MODEL!r}, {{"prompt": text}}, validate="off")
            send_on_commit(picture.set(task_id={task_id!r}) | mulequeue.download.s())
            assert not fails
    except Exception as exc:
        answer.append(type(exc).__name__)
"""
    )

    assert ["AssertionError", "EncodeError"] == told
    assert project.fleet.ledger.queries.record(task_id) is None


def test_what_cannot_be_attached_is_refused(still_project: DjangoProject) -> None:
    """A model, a field or a row that does not exist is one clear error of the call."""
    told = still_project.shell(
        IMPORTS
        + """
answer = []
for call in (
    lambda: attach("shop.Product", "picture", pk=1),
    lambda: attach(Product, "name"),
    lambda: attach("shop.Nothing", "image"),
    lambda: attach("image", "image"),
    lambda: attach(Product(name="new"), "image"),
):
    try:
        call()
    except mulequeue.InputError as exc:
        answer.append(str(exc))
"""
    )

    assert [
        "shop.Product has no file field 'picture'. Its file fields: image, manual.",
        "shop.Product has no file field 'name'. Its file fields: image, manual.",
        "INSTALLED_APPS has no model 'shop.Nothing'. Write APP.MODEL, such as shop.Product.",
        "INSTALLED_APPS has no model 'image'. Write APP.MODEL, such as shop.Product.",
        "Save the product before a file is attached to it.",
    ] == told


STORE = (
    IMPORTS
    + """
from dataclasses import replace
from mulequeue.contrib.django.attach import Target
from mulequeue.contrib.django.filesystem import public_url
from mulequeue.engine.worker_context import worker_context
from mulequeue.ledger import outcome_of
from mulequeue.contrib.files import open_file
settings = worker_context().settings
outcome = outcome_of(worker_context().ledger.queries.record({task_id!r}))
product = Product.objects.create(name="stored")
def store(field, pk=product.pk, index=0, outcome=outcome):
    try:
        [file] = Target("shop.Product", field, pk, index).store(outcome, settings, None)
    except Exception as exc:
        return f"{{type(exc).__name__}}: {{exc}}"
    product.refresh_from_db()
    return [getattr(product, field).name, open_file(file, settings).read(4).hex(), public_url({{"url": file.url}})]
"""
)


def test_the_field_decides_where_the_file_is(project: DjangoProject) -> None:
    """A field with a storage and a function of its own has the file there; a second time changes nothing."""
    task_id = new_id()
    product_with_image(project, send(project, task_id))

    first, second, stored = project.shell(
        STORE.format(task_id=task_id)
        + """
answer = [store("manual"), store("manual"), sorted(Product._meta.get_field("manual").storage.listdir("of-stored")[1])]
"""
    )

    name, head, url = first
    assert (True, "89504e47") == (name.startswith("of-stored/"), head)
    assert f"/media/{name}" == url  # the base URL of Django's FileSystemStorage
    assert first == second
    assert [name.rpartition("/")[2]] == stored


def test_a_row_or_an_asset_that_is_not_there(project: DjangoProject) -> None:
    """The error names what is missing, and no file is left."""
    task_id = new_id()
    product_with_image(project, send(project, task_id))

    told = project.shell(
        STORE.format(task_id=task_id)
        + """
answer = [
    store("image", pk=-1),
    store("image", index=1, outcome=replace(outcome, files=())),
    store("image", pk=None),
]
"""
    )

    assert [
        "InputError: The shop.Product of the file does not exist. Its outcome has the file for as long "
        "as the API keeps it.",
        "InputError: The generation has 1 asset(s); there is no index 1.",
        "InputError: attach does not know which shop.Product to fill. Pass pk=…, or "
        'metadata={"pk": …} to each generation.',
    ] == told
