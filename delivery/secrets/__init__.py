"""Encryption of stored secrets, and rotation of the keys."""
