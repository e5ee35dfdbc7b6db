"""What the modules of both databases share."""

FileId = tuple[int, int]  # device and inode of a file of SQLite


class StorageError(Exception):
    """The database cannot be used; the message is a sentence that says what to do."""
