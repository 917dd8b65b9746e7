"""Messages → completions and log-probabilities, behind one small protocol. Engines are imported when they are asked for."""
