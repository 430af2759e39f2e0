"""The application: decisions (pure) and the modules that carry them out."""
