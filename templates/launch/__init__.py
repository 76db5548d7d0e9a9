"""Templates as jobs on Dataflow: launched, watched, updated and stopped."""
