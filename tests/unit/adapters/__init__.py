"""Adapters that need no service to be tested."""
