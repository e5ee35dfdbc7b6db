"""The pages, forms and endpoints: one blueprint per module."""
