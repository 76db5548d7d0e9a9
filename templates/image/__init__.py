"""Images that templates are launched from, and the specs that name them."""
