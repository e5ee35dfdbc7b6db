"""Signing in, and access control."""
