"""The channel pages: list, editor, field checks, tests."""
