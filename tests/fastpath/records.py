"""TLS 1.3 records made by hand, for what no TLS library sends: floods of KeyUpdates and of empty records.

Source: RFC 8446 sections 4.6.3, 5.2 to 5.4, 7.1 to 7.3.
"""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL

APPLICATION_DATA, HANDSHAKE = 23, 22
UPDATE_REQUESTED = b"\x18\x00\x00\x01\x01"


class Records:
    """The client's records after the handshake of `connection`, which must send nothing itself any more.

    Make it before the handshake; TLS_AES_128_GCM_SHA256 only.
    """

    def __init__(self, context: SSL.Context) -> None:
        self._secret = b""
        self._number = 0
        context.set_keylog_callback(self._note)

    def seal(self, kind: int, octets: bytes) -> bytes:
        plain = octets + bytes([kind])
        header = b"\x17\x03\x03" + (len(plain) + 16).to_bytes(2, "big")
        iv = int.from_bytes(self._expand(b"iv", 12), "big") ^ self._number
        self._number += 1
        return header + AESGCM(self._expand(b"key", 16)).encrypt(iv.to_bytes(12, "big"), plain, header)

    def key_update(self) -> bytes:
        """One that asks for an answer. What follows is sealed with the next key."""
        record = self.seal(HANDSHAKE, UPDATE_REQUESTED)
        self._secret, self._number = self._expand(b"traffic upd", 32), 0
        return record

    def _expand(self, label: bytes, count: int) -> bytes:
        full = b"tls13 " + label
        return HKDFExpand(SHA256(), count, count.to_bytes(2, "big") + bytes([len(full)]) + full + b"\0").derive(
            self._secret
        )

    def _note(self, _: SSL.Connection, line: bytes) -> None:
        label, _, secret = line.split(b" ")
        if label == b"CLIENT_TRAFFIC_SECRET_0":
            self._secret = bytes.fromhex(secret.decode())
