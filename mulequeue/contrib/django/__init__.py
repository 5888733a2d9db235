"""mulequeue in a Django project: ``INSTALLED_APPS = ["mulequeue.contrib.django", …]``.

==============  ====================================================================================
``models``      ``Generation`` and ``Batch``: the ledger's records as rows, to be joined and searched
``mirror``      keeps them up to date by signals; ``manage.py mulequeue reconcile`` mends them
``admin``       read-only pages with thumbnails; cancel, resume, generate again
``storage``     ``mulequeue_storage = "django://folder"``: downloads go to Django's default storage
``urls``        the view for MuleRouter's webhooks
``checks``      what ``manage.py check`` says about the settings
==============  ====================================================================================

The settings are Celery's, under its namespace: ``CELERY_MULEQUEUE_API_KEY``, ….
"""
