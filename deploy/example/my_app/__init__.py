"""my-app: a small web server that can be made to misbehave as real ones do, to show what a proxy does then."""
