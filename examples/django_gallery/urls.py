from django.contrib import admin
from django.urls import include, path

from django_gallery import views

urlpatterns = [
    path("", views.home, name="home"),
    path("albums/<slug:album_id>/", views.album, name="album"),
    path("albums/<slug:album_id>/cards", views.cards, name="cards"),
    path("albums/<slug:album_id>/events", views.events, name="events"),
    path("albums/<slug:album_id>/zip", views.download, name="zip"),
    path("albums/<slug:album_id>/retry", views.retry, name="retry"),
    path("albums/<slug:album_id>/cancel", views.cancel, name="cancel"),
    path("albums/<slug:album_id>/<int:index>/again", views.again, name="again"),
    path("files/<slug:task_id>/<int:number>", views.file, name="file"),
    path("mulequeue/", include("mulequeue.contrib.django.urls")),
    path("admin/", admin.site.urls),
]
handler400 = "django_gallery.views.refused"
