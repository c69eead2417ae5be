"""
An independent reading of the specification, against which the real fold is checked.

It shares no code with `schemas` or `service` and cares for nothing but being obviously right: everything is
computed from the whole log by plain loops over small lists.
"""
