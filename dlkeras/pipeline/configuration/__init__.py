"""The configuration of a pipeline: one frozen, strict model a component."""
