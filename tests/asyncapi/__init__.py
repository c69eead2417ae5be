"""The validator of AsyncAPI documents, from its own project's packages."""
