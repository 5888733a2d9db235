"""URLs to include: ``path("mulequeue/", include("mulequeue.contrib.django.urls"))``."""

from django.urls import path

from mulequeue.contrib.django.views import webhook

app_name = "mulequeue"
urlpatterns = [path("webhook/", webhook, name="webhook")]
