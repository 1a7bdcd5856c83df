"""The only place with raw socket calls: an epoll set nested in the event loop, and the streams in it."""
