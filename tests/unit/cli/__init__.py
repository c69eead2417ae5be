"""The command line: what it is called with, what it prints, how it ends."""
