"""Django's settings. Those for mulequeue start with CELERY."""

import os
from pathlib import Path

from gallery.fields import MOST_BYTES
from gallery.fleet import EXAMPLES
from gallery.keys import kept_secret

from mulequeue import recommended

DATA = Path(os.environ.get("GALLERY_DATA", Path(__file__).parent / "data")).resolve()
SECRET_KEY = os.environ.get("SECRET_KEY") or kept_secret(DATA / "secret_key")
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DEBUG = False

INSTALLED_APPS = [
    "mulequeue.contrib.django",
    "django_gallery",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django_gallery.middleware.content_policy",
    "django_gallery.middleware.NoRedis",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "django_gallery.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [EXAMPLES / "gallery" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "gallery.sqlite3",
        # The workers write while pages are read.
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATICFILES_DIRS = [EXAMPLES / "gallery" / "static"]
MEDIA_ROOT = DATA / "files"  # without a URL: a view serves the files to the album's owner
DATA_UPLOAD_MAX_MEMORY_SIZE = MOST_BYTES

CELERY_BROKER_URL = os.environ.get("MULEQUEUE_REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_BROKER_TRANSPORT_OPTIONS = recommended.broker_transport_options
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = CELERY_TASK_SEND_SENT_EVENT = True  # for Flower
CELERY_MULEQUEUE_STORAGE = "django://"
