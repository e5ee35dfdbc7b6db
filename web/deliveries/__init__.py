"""The pages of deliveries and alerts."""
