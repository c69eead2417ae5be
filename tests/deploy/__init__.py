"""What lies in `deploy/` is held to the code, and to the tools that read it."""
