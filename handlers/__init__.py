"""The triggers: parse, call, answer."""
