"""The commands, one file for each or for each group; they read settings, call the rest and show results."""
