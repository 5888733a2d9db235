from celery import shared_task

from shop.models import Cover


@shared_task
def keep(outcome, prompt):
    return Cover.objects.create(prompt=prompt, url=outcome["files"][0]["url"]).pk
