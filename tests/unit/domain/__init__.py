"""The pure fold, module by module, and each settled reading."""
