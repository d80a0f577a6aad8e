"""Models, arrays and folders that strangers would bring."""
