"""How a Beam pipeline is executed on one machine. Imports Beam and nothing of ours."""
