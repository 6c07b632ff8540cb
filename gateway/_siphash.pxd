"""SipHash-1-3 over whole 64-bit words: who does not know the key cannot aim for collisions.

The first word says what is hashed and how long it is, which takes the place of SipHash's own padding.
Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012. No .pyx: everything is inline.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

ctypedef struct SipHash:
    uint64_t a
    uint64_t b
    uint64_t c
    uint64_t d


cdef inline uint64_t rotated(uint64_t word, int bits) noexcept nogil:
    return (word << bits) | (word >> (64 - bits))


cdef inline void sip_round(SipHash *hash) noexcept nogil:
    hash.a += hash.b
    hash.b = rotated(hash.b, 13) ^ hash.a
    hash.a = rotated(hash.a, 32)
    hash.c += hash.d
    hash.d = rotated(hash.d, 16) ^ hash.c
    hash.a += hash.d
    hash.d = rotated(hash.d, 21) ^ hash.a
    hash.c += hash.b
    hash.b = rotated(hash.b, 17) ^ hash.c
    hash.c = rotated(hash.c, 32)


cdef inline void sip_word(SipHash *hash, uint64_t word) noexcept nogil:
    hash.d ^= word
    sip_round(hash)
    hash.a ^= word


cdef inline void sip_start(SipHash *hash, const uint64_t *key, uint64_t what) noexcept nogil:
    hash.a = key[0] ^ 0x736F6D6570736575ULL
    hash.b = key[1] ^ 0x646F72616E646F6DULL
    hash.c = key[0] ^ 0x6C7967656E657261ULL
    hash.d = key[1] ^ 0x7465646279746573ULL
    sip_word(hash, what)


cdef inline void sip_octets(SipHash *hash, const void *octets, size_t count) noexcept nogil:
    cdef uint64_t word
    cdef size_t at = 0
    while at < count:
        word = 0
        memcpy(&word, <const char *> octets + at, min(<size_t> 8, count - at))
        sip_word(hash, word)
        at += 8


cdef inline uint64_t sip_end(SipHash *hash) noexcept nogil:
    hash.c ^= 0xFF
    sip_round(hash)
    sip_round(hash)
    sip_round(hash)
    return hash.a ^ hash.b ^ hash.c ^ hash.d
