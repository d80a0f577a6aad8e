"""Runs components: finds what is finished, makes the rest, records both."""
