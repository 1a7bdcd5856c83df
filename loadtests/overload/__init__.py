"""More than a service can do, through Fairlead, HAProxy and Envoy: what is still done, and how long it takes."""
