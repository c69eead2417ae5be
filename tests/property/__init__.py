"""What holds for every input, shown by inputs nobody thought of."""
