"""Parameter files: read, laid one above the other, judged, compared and rendered."""
