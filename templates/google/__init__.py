"""Google's own templates: which of ours does the same, and files of their parameters as ours."""
