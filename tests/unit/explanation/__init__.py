"""Tests of the explanation of numbers."""
