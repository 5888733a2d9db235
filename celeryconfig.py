"""Settings of the workers that are started in this folder: the recommended ones, then yours."""

from mulequeue.recommended import *  # noqa: F403

# The lines people change:
#
# mulequeue_storage = "s3://my-bucket/generations"
# mulequeue_max_in_flight = 50
# mulequeue_max_per_day = 10_000
# mulequeue_input_roots = ("/srv/uploads",)
# mulequeue_profiles = {"mulerun": {"site": "mulerun", "api_key": "muk-…", "max_in_flight": 20}}
