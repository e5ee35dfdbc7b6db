"""The parts of the worker: its lock, its wake-up, its channels, its decisions."""
