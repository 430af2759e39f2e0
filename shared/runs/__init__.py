"""Runs, their tasks and chunks: what they are, where they are kept, and what comes next."""
