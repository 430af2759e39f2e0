"""Linking source rows to their unified profile: what is required, and what is written."""
