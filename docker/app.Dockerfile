# syntax=docker/dockerfile:1
# Copy this file beside your application: shop/ with a Celery app in shop/celery.py, and requirements.txt
# with mulequeue[s3], mulequeue[metrics] and your other packages.
#   docker build -f app.Dockerfile -t shop:1.0 .

FROM python:3.13.1-slim-bookworm
RUN useradd --system --uid 10001 --create-home shop
WORKDIR /app
# Before the code, so that a change of the code reuses this layer.
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY shop shop
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MULEQUEUE_LIVENESS_FILE=/tmp/alive
USER 10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "test -n \"$(find $MULEQUEUE_LIVENESS_FILE -mmin -1)\""]
CMD ["celery", "-A", "shop", "worker", "-n", "worker@%h", "-l", "INFO"]
