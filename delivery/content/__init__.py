"""What a message says of an alert, independent of the service that shows it."""
