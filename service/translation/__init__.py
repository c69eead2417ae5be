"""Other languages to and from ours, as tables."""
