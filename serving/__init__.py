"""The processes: the server, its web processes and the worker."""
