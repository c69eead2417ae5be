"""What stands behind a number: the intervals of a window, from what the view holds of an EVSE."""
