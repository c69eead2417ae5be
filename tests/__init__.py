"""Tests of evse-status."""
