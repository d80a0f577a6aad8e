"""What passes between components."""
