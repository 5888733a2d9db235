"""A Django project as its developer has it: settings, manage.py, a worker and a web server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from support.fleet import KEY, environment
from support.generations import new_id
from support.ports import free_port
from support.waiting import wait_until
from support.webhook import WEBHOOK_SECRET
from support.workers import WorkerProcess

# Databases differ in upserts and locks. Those with USE_TZ = False store naive local times.
DATABASES = ["sqlite", "sqlite naive", "postgresql", "mariadb"]
on_all_databases = pytest.mark.parametrize("_running", DATABASES, indirect=True, scope="session")

SETTINGS = """\
import json, os

SECRET_KEY = "only for tests"
DEBUG = True
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = [
    "mulequeue.contrib.django",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": json.loads(os.environ["SHOP_DATABASE"])}
if "mysql" in DATABASES["default"]["ENGINE"]:
    import pymysql
    pymysql.install_as_MySQLdb()
MEDIA_ROOT = "media"
MEDIA_URL = "/media/"
STATIC_URL = "/static/"

CELERY_BROKER_URL = CELERY_RESULT_BACKEND = os.environ["SHOP_REDIS"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_MULEQUEUE_API_KEY = os.environ["SHOP_KEY"]
CELERY_MULEQUEUE_BASE_URL = os.environ["SHOP_API"]
CELERY_MULEQUEUE_STORAGE = "django://generated"
CELERY_MULEQUEUE_WEBHOOK_SECRET = os.environ["SHOP_WEBHOOK_SECRET"]
CELERY_MULEQUEUE_ALLOW_PRIVATE_ADDRESSES = True
exec(os.environ.get("SHOP_MORE", ""))
"""
FILES = {
    "manage.py": """\
import os, sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
""",
    "shop/__init__.py": "from .celery import app as celery_app\n",
    "shop/celery.py": """\
import os
from celery import Celery
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
""",
    "shop/settings.py": SETTINGS,
    "shop/models.py": """\
import pathlib, time, uuid
from django.core.files.storage import FileSystemStorage
from django.db import models

def named_by_the_shop(product, name):
    return f"of-{product.name}/{product.pk}.png"

class Product(models.Model):
    name = models.CharField(max_length=200)
    image = models.ImageField(upload_to="products/%Y", blank=True, width_field="width")
    width = models.PositiveIntegerField(null=True)
    manual = models.FileField(upload_to=named_by_the_shop, storage=FileSystemStorage("manuals"), blank=True)
    saves = models.PositiveIntegerField(default=0)
    changed = models.DateTimeField(auto_now=True)

    def save(self, **options):
        if self.image and pathlib.Path("hang-save").exists():
            pathlib.Path("hangs-save").touch()
            time.sleep(600)
        self.saves += 1
        if "update_fields" in options:
            options["update_fields"] = [*options["update_fields"], "saves"]
        super().save(**options)
""",
    "shop/urls.py": """\
from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path
urlpatterns = [
    path("admin/", admin.site.urls),
    path("mulequeue/", include("mulequeue.contrib.django.urls")),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
""",
}
ROW = "answer = Generation.objects.filter(pk={!r}).values().first()"
START = """
from celery import chain
signature = mulequeue.generate.s("alibaba/wan2.6-t2i", {input!r}, poll_interval={interval})
signature = signature.set(task_id={task_id!r})
answer = chain(signature, mulequeue.download.s()).delay().id
"""
_SHELL = """\
import json, os, sys, traceback
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import shop
import django
django.setup()
import mulequeue
from django.db import connection, transaction
from mulequeue.contrib.django.mirror import mirror, reconcile
from mulequeue.contrib.django.models import Batch, Generation
for line in sys.stdin:
    names = dict(globals())
    try:
        exec(json.loads(line), names)
        told = {"answer": names["answer"]}
    except Exception:
        told = {"error": traceback.format_exc()}
    print(json.dumps(told, default=str), flush=True)
"""


class DjangoProject:
    """The project in a folder.

    :param database: an entry of ``DATABASES``.
    :param fleet: whose Redis and emulator it uses; None: it can be looked at, but not run.
    :param more: lines at the end of the settings.
    """

    def __init__(
        self, folder: Path, database: dict[str, Any], fleet: Any = None, more: str = ""
    ) -> None:
        self.folder, self.fleet = folder, fleet
        self.env = {
            **environment({}),
            "SHOP_DATABASE": json.dumps(database),
            "SHOP_REDIS": fleet.redis.url if fleet else "redis://127.0.0.1:1/0",
            "SHOP_API": fleet.emulator.url if fleet else "http://127.0.0.1:1",
            "SHOP_KEY": KEY,
            "SHOP_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SHOP_MORE": more,
            "DJANGO_SUPERUSER_PASSWORD": "secret",
        }
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self._server: subprocess.Popen[bytes] | None = None
        self._worker: WorkerProcess | None = None
        self._shell: subprocess.Popen[str] | None = None
        self.url = ""

    def manage(self, *args: str, more: str = "") -> subprocess.CompletedProcess[str]:
        """``manage.py`` with those arguments; ``more``: lines at the end of the settings."""
        return subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=self.folder,
            env={**self.env, "SHOP_MORE": more or self.env["SHOP_MORE"]},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def shell(self, code: str) -> Any:
        """Run code with Django set up; what it assigned to ``answer``, through JSON."""
        if self._shell is None:
            self._shell = subprocess.Popen(
                [sys.executable, "-c", _SHELL],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        print(json.dumps(code), file=self._shell.stdin, flush=True)
        told = json.loads(self._shell.stdout.readline())
        assert "error" not in told, told["error"]
        return told["answer"]

    def start(self) -> None:
        """Migrate, make an administrator, start a worker and the web server."""
        for command in (
            ["migrate", "-v", "0", "--run-syncdb"],
            ["createsuperuser", "--noinput", "--username", "root", "--email", "root@shop.example"],
        ):
            done = self.manage(*command)
            assert 0 == done.returncode, done.stderr
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = (self.folder / "web.log").open("wb")
        self._server = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=self.folder,
            env=self.env,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.start_worker()
        wait_until(self._answers, what="the web server")

    def start_worker(self) -> None:
        """Start a worker."""
        name = f"shop{time.monotonic_ns()}"
        self._worker = WorkerProcess(name, self.env, self.folder, ["-c", "2"], app="shop")
        self._worker.wait_ready()

    def kill_worker(self) -> None:
        """Kill the worker with all of its processes."""
        assert self._worker is not None
        self._worker.kill()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/admin/login/", timeout=5).ok
        except requests.ConnectionError:
            return False

    @property
    def logs(self) -> str:
        worker = self._worker.text if self._worker else ""
        web = self.folder / "web.log"
        return worker + (web.read_text(errors="replace") if web.exists() else "")

    def stop(self) -> None:
        if self._shell is not None:
            self._shell.communicate()
        if self._worker is not None:
            self._worker.stop()
        if self._server is not None:
            self._server.terminate()
            self._server.wait(10)
            self._log.close()


class Browser:
    """Somebody who is logged in to the admin pages."""

    def __init__(self, project: DjangoProject, username: str = "root") -> None:
        self._url = f"{project.url}/admin/"
        self._session = requests.Session()
        self.get("login/")
        page = self.post("login/", username=username, password="secret", next="/admin/")
        assert "Log out" in page, page

    def get(self, path: str, status: int = 200) -> str:
        response = self._session.get(urljoin(self._url, path), timeout=20)
        assert status == response.status_code, response.text
        return response.text

    def post(self, path: str, **form: Any) -> str:
        """Send a form; the text of the page that follows."""
        form["csrfmiddlewaretoken"] = self._session.cookies["csrftoken"]
        response = self._session.post(urljoin(self._url, path), data=form, timeout=20)
        assert 200 == response.status_code, response.text
        return response.text

    def download(self, path: str, **form: Any) -> bytes:
        """Send a form; the bytes of the answer."""
        form["csrfmiddlewaretoken"] = self._session.cookies["csrftoken"]
        response = self._session.post(urljoin(self._url, path), data=form, timeout=20)
        assert 200 == response.status_code, response.text
        return response.content

    def act(self, action: str, *task_ids: str, model: str = "generation") -> str:
        """Choose an action for some rows of the list; what the page says about it."""
        page = self.post(f"mulequeue/{model}/", action=action, _selected_action=task_ids)
        return " ".join(re.findall(r'<li class="(?:info|error|warning)">(.*?)</li>', page, re.S))


def start(project: DjangoProject, prompt: str = "a mule", interval: float = 0.1) -> str:
    """The task id of a generation with a download behind it."""
    task_id = new_id()
    project.shell(START.format(input={"prompt": prompt}, interval=interval, task_id=task_id))
    return task_id


def row_when(project: DjangoProject, task_id: str, **fields: str) -> dict:
    """The row of a generation, once it has these values or any files."""

    def look() -> dict | None:
        row = project.shell(ROW.format(task_id))
        return row if row and all(row[name] == value for name, value in fields.items()) else None

    return wait_until(look, what=f"the row of {task_id} to have {fields}")


def stored(project: DjangoProject, task_id: str) -> dict:
    """The row of a generation whose files are there."""
    look = f"answer = Generation.objects.filter(pk={task_id!r}).exclude(files=[]).values().first()"
    return wait_until(lambda: project.shell(look), what=f"the files of {task_id}")
