"""Training on several machines and devices: who is there, and who does what."""
