"""Alerts: what they are, how they come in, and who is notified."""
