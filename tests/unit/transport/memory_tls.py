"""Two ends of a TLS connection that meet in memory: no sockets, so every octet can be looked at."""

from OpenSSL import SSL

CHUNK_OCTETS = 1 << 16


class MemoryPair:
    """to_client: all that the server has sent, as it would be on the wire."""

    def __init__(self, client: SSL.Connection, server: SSL.Connection) -> None:
        self.client = client
        self.server = server
        self.to_client = b""

    def shake(self) -> "MemoryPair":
        """Raises the error of the side that fails first; what it sent before has been carried over."""
        waiting = {self.client, self.server}
        while waiting:
            for end in (self.client, self.server):
                try:
                    end.do_handshake()
                    waiting.discard(end)
                except SSL.WantReadError:
                    pass
                finally:
                    self.carry()
        return self

    def carry(self) -> None:
        """What either has written goes to the other."""
        outward = _written(self.server)
        self.to_client += outward
        _give(self.client, outward)
        _give(self.server, _written(self.client))


def _written(end: SSL.Connection) -> bytes:
    try:
        return end.bio_read(CHUNK_OCTETS)
    except SSL.WantReadError:
        return b""


def _give(end: SSL.Connection, octets: bytes) -> None:
    if octets:
        end.bio_write(octets)
