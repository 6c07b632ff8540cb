"""What `gateway._fastpath.FrameBuffer` must do, written as plainly as Python allows."""

from gateway.errors import FrameTooLong


class FrameOracle:
    def __init__(self, capacity_octets: int) -> None:
        self.capacity_octets = capacity_octets
        self.held = b""

    @property
    def pending(self) -> int:
        return len(self.held)

    def feed(self, data: bytes) -> None:
        if len(self.held) + len(data) > self.capacity_octets:
            raise OverflowError
        self.held += data

    def take_line(self, limit_octets: int) -> bytes | None:
        line, line_end, _ = self.held[:limit_octets].partition(b"\n")
        if line_end:
            self.held = self.held[len(line) + 1 :]
            return line.removesuffix(b"\r")
        if len(self.held) >= limit_octets:
            raise FrameTooLong(limit_octets)
        return None

    def has_line(self, limit_octets: int) -> bool:
        return b"\n" in self.held[:limit_octets] or len(self.held) >= limit_octets

    def take_octets(self, count: int) -> bytes | None:
        if count > self.capacity_octets:
            raise ValueError
        if count > len(self.held):
            return None
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def take_all(self) -> bytes:
        taken, self.held = self.held, b""
        return taken

    def clear(self) -> None:
        self.held = b""
