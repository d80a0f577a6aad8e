"""How the models of each task are judged, shown, blessed and asked."""
