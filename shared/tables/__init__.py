"""The output tables: what they are called, what their rows look like, and the SQL that makes them."""
