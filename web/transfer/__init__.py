"""Channels in files: export, import, provisioning, and moving in from other systems."""
