"""How many partitions, workers, and how much memory and disk a fleet needs, from what was measured."""
