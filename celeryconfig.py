"""Settings of the workers started in this folder: the recommended settings, then yours."""

from mulequeue.recommended import *  # noqa: F403

# Settings that are often changed:
#
# mulequeue_storage = "s3://my-bucket/generations"
# mulequeue_max_in_flight = 50
# mulequeue_max_per_day = 10_000
# mulequeue_max_usd_per_day = 200
# mulequeue_input_roots = ("/srv/uploads",)
# mulequeue_profiles = {"mulerun": {"site": "mulerun", "api_key": "muk-…", "max_in_flight": 20}}
