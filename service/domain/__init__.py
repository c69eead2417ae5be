"""The pure fold from events to the state of an EVSE; knows no clock, no transport and no vendor."""
