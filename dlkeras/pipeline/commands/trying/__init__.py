"""Commands that try data and a network out before a pipeline trains."""
