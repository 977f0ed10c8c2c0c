"""The front door: parse, call, print."""
