"""The worker that keeps the view of every EVSE, and its commands."""
