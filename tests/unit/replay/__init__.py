"""Files as one log, and the fold over them."""
