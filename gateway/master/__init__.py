"""The first process: it reads the configuration, binds, forks, watches and ends. It parses no octet of a client.

It never touches a gevent hub: a hub that exists before a fork breaks the child's threads.
"""
