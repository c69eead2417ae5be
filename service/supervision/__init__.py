"""Several workers of one group on one machine: processes that a parent starts, watches and stops."""
