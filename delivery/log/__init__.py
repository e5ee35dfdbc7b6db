"""Reading the log: which deliveries have what in common."""
