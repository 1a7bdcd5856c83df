"""The data plane: what a worker does with connections, from accept to release."""
