"""Access control, sign-in, and the pages of users and API tokens."""
