"""Tests of the page over the view."""
