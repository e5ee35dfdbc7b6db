"""Operating an installation: backups, and restoring them."""
