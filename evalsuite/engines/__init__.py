"""Messages → completions and log-probabilities, behind one small protocol. Engines are imported on demand."""
