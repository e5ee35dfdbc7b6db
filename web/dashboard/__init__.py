"""The dashboard: whether notifications arrive, and if not, where to look."""
