"""Pages of deliveries and alerts."""
