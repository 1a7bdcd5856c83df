"""The control plane: the supervisor, the workers that it runs, and all that they say to each other."""
