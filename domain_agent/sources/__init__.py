"""Where the data is: files below the agent's roots, in formats that DuckDB reads."""
