"""The read-only page over the Redis view."""
