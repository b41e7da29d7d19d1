"""Inside a server: the paged KV cache, the scheduler, a transformer, quantisation, sizing. NumPy alone."""
