"""The commands over heads and runs, one module a group: a command parses, calls the library once and renders."""
