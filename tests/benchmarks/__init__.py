"""What the worker costs: jobs run against real parts, and what of it each step takes (`make bench`)."""
