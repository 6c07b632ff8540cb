"""Looking at the lines of a relay; see `_scan.pyx`."""

from libc.stdint cimport uint8_t

cdef enum:
    HEAD_OCTETS = 96  # of a line, to find its command in

cdef struct Words:
    const unsigned char *text  # in upper case, each followed by LF
    size_t octets
    uint8_t are_tagged  # the command is a line's second word

cdef struct LineScan:
    const Words *words
    uint8_t head_octets
    unsigned char head[HEAD_OCTETS]

cdef class CommandFilter:
    cdef Words words
    cdef bytes text

cdef bint scan_lines(void *state, const unsigned char *octets, size_t count) noexcept nogil
cdef void *new_line_scan(const Words *words) noexcept nogil
