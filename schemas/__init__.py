"""The published language: what comes in, what goes out, what dashboards read."""
