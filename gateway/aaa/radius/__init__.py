"""The `radius` AAA servers: authentication and authorization (RFC 2865), accounting (RFC 2866).

packets.py makes requests, answers.py believes or drops what comes back, identity.py says what it means, port.py is a
socket, multiplexer.py the sockets of one UDP port of one server, server.py what an AAA group sees.
"""
