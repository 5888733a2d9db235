"""mulequeue in a Django project: ``INSTALLED_APPS = ["mulequeue.contrib.django", …]``.

The settings have the prefix of Celery's namespace: ``CELERY_MULEQUEUE_API_KEY``, ….
"""

from mulequeue.contrib.django.attach import attach
from mulequeue.contrib.django.on_commit import send_on_commit

__all__ = ["attach", "send_on_commit"]
