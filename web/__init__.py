"""The side that people talk to: one blueprint a file."""
