"""Dead letters read again."""
