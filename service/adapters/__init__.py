"""The outside world behind the ports, one vendor a file."""
