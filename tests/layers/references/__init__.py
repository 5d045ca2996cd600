"""What is known of each layer from elsewhere: one module a group, each with ``REFERENCES``."""
