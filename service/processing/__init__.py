"""The loop from record to snapshot, written against ports; knows no vendor."""
