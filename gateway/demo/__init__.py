"""`gateway demo`: a complete gateway on loopback with mail servers, users and a certificate of its own.

The gateway is the real one, started as `gateway run`; what is around it lives in this process and its threads and is
gone when it ends. Nothing here is for production: the mail servers keep mail in memory, passwords are printed.
"""
