"""Entry point of gunicorn: `gunicorn wsgi:app`, with or without `-c gunicorn.conf.py`."""

from app import create_app
from config import Config
from logs import log_to_stderr
from serving import web_process

config = Config.from_env()
log_to_stderr(config.log_format)
app = create_app(config)
web_process.start(app)
