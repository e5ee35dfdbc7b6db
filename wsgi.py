"""Entry point of gunicorn: `gunicorn wsgi:app`, with or without `-c gunicorn.conf.py`."""

from app import create_app
from logs import log_to_stderr
from serving import web_process

log_to_stderr()
app = create_app()
web_process.start(app)
