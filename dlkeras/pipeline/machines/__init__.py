"""Several machines and devices: who is there, and who does what."""
