from django.db import models


class Cover(models.Model):
    prompt = models.TextField()
    url = models.TextField()
