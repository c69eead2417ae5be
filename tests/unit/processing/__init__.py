"""The loop on values and in memory."""
