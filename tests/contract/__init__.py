"""One suite for each port, run on the memory adapter and on the real ones."""
