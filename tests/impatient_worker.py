"""A web process that gives its clients less time, so that a test need not wait for long."""

from serving.gunicorn_worker import BufferingWorker


class ImpatientWorker(BufferingWorker):
    max_seconds = 0.5
