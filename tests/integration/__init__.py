"""The adapters against real services."""
