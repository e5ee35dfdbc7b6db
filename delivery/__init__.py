"""The side that talks to receivers. Knows nothing of Flask and nothing of `web`."""
