"""What the monitors have measured, as the rules read it."""
