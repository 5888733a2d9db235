"""mulequeue in a Django project: ``INSTALLED_APPS = ["mulequeue.contrib.django", …]``.

==============  ====================================================================================
``attach``      saves the file of a generation into a field of a row
``models``      ``Generation`` and ``Batch``: the ledger's records as rows, for joins and searches
``mirror``      updates the rows on signals; ``manage.py mulequeue reconcile`` corrects them
``admin``       read-only pages with thumbnails; cancel, resume, generate again
``storage``     ``mulequeue_storage = "django://folder"``: downloads go to Django's default storage
``urls``        the view for MuleRouter's webhooks
``checks``      the checks of the settings in ``manage.py check``
==============  ====================================================================================

The settings have the prefix of Celery's namespace: ``CELERY_MULEQUEUE_API_KEY``, ….
"""

from mulequeue.contrib.django.attach import attach
from mulequeue.contrib.django.on_commit import send_on_commit

__all__ = ["attach", "send_on_commit"]
