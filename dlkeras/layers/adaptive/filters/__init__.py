"""The adaptive filters, and the rules that are of one filter."""
