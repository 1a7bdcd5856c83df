"""What can be seen of a running Fairlead: counts, metrics, the access log and the admin server."""
