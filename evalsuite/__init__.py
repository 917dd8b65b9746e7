"""evalsuite: an evaluation harness that also trains."""
