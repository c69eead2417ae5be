"""Log lines: one form for all, with an action word."""
