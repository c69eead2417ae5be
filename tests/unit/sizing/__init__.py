"""Settings: what can be set, what is refused, and that nothing secret is shown."""
