"""The speed of Headrace beside its peers, measured in one run on one input."""
