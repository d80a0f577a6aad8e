"""What a person sees of a data set first: its copies, what is unusual, and the page."""
