"""Other languages to and from ours."""
