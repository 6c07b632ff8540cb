"""Octets in and out: connections, TLS, deadlines, the relay. What they mean is decided elsewhere."""
