"""How all figures look: colours and letters."""
