"""Monitoring: the doctor, Prometheus, Flower and the webhook server."""
