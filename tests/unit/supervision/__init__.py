"""Several workers under one parent: what can be said without processes."""
