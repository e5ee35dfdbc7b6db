"""Accounts without pages; the command line uses them too."""
