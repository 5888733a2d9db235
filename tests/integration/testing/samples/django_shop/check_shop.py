"""Works together with pytest-django: the tasks write into the tests' own database."""

from __future__ import annotations

import pytest
from shop.models import Cover
from shop.tasks import keep

from mulequeue import download, generate


def order(prompt):
    picture = generate.s("alibaba/wan2.6-t2i", {"prompt": prompt})
    return (picture | download.s() | keep.s(prompt)).delay()


@pytest.mark.django_db(transaction=True)
def test_a_task_writes_into_the_tests_database(mulequeue_worker, mulequeue_storage):
    """The row is there for the test, and its file in the tests' folder."""
    key = mulequeue_worker.run_until_settled(order("a mule"))

    assert str(mulequeue_storage) in Cover.objects.get(pk=key).url


@pytest.mark.django_db(transaction=True)
def test_the_next_test_starts_without_rows(mulequeue_worker):
    """As every test with pytest-django does."""
    assert 0 == Cover.objects.count()
    mulequeue_worker.run_until_settled(order("a fox"))
    assert "a fox" == Cover.objects.get().prompt


def test_a_test_without_a_database_works(mulequeue_worker, mulequeue_emulator):
    """The worker needs no database for what needs none."""
    result = generate.delay("alibaba/wan2.6-t2i", {"prompt": "a mule"})

    assert "succeeded" == mulequeue_worker.run_until_settled(result).status
    assert 1 == mulequeue_emulator.stats()["created"]
