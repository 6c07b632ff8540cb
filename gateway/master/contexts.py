"""The TLS contexts, made by the master before the fork, so that all workers share their ticket keys.

Errors: `ConfigError` when a certificate, key or CA cannot be used.
"""
