"""What the worker needs beside the outbox: its lock, its wake-up, its view of channels."""
