"""A trained network that answers: its forms, and how it is opened and asked."""
