# cython: autotestdict=False
"""A scanner for the relay: ends a session whose client sends a command that it must not.

Every line is judged, in whatever pieces it comes, at its end and before that end is sent on: the mail server never sees
a refused command whole. A line of a message is judged like any other, since whether octets are a message is for the
server to say (it may refuse the literal that announced them): more may be refused than was meant, never less. What
cannot be judged, because its first words are longer than any command's, is refused.

Errors: ValueError for words that are none.
Limits: HEAD_OCTETS of a line are looked at; a session that is scanned costs about as much memory.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy

from gateway._fastpath cimport CR, LF

cdef enum:
    SPACE = 32
    TAB = 9


cdef class CommandFilter:
    def __cinit__(self, refused, *, bint tagged=False):
        words = sorted({word.upper() for word in refused})
        for word in words:
            if not word.isascii() or not word.isalpha():
                raise ValueError(f"not a command: {word!r}")
        self.text = "".join([f"{word}\n" for word in words]).encode()
        self.words.text = self.text
        self.words.octets = len(self.text)
        self.words.are_tagged = tagged

    def judge(self, pieces):
        """How many of the pieces pass before one is refused; None: all."""
        cdef LineScan *scan = <LineScan *> new_line_scan(&self.words)
        cdef bytes piece
        if scan == NULL:
            raise MemoryError
        try:
            for passed, piece in enumerate(pieces):
                if not scan_lines(scan, piece, len(piece)):
                    return passed
            return None
        finally:
            free(scan)


cdef void *new_line_scan(const Words *words) noexcept nogil:
    """For one direction of one session; free() it."""
    cdef LineScan *scan = <LineScan *> calloc(1, sizeof(LineScan))
    if scan != NULL:
        scan.words = words
    return scan


cdef bint is_blank(unsigned char octet) noexcept nogil:
    return octet == SPACE or octet == TAB or octet == CR


cdef size_t skip(const LineScan *scan, size_t at, bint blanks) noexcept nogil:
    """Past the blanks, or the word, that begin at `at`."""
    while at < scan.head_octets and is_blank(scan.head[at]) == blanks:
        at += 1
    return at


cdef unsigned char upper(unsigned char octet) noexcept nogil:
    return octet - 32 if c"a" <= octet <= c"z" else octet


cdef bint is_refused(const Words *words, const unsigned char *word, size_t count) noexcept nogil:
    cdef const unsigned char *refused = words.text
    cdef const unsigned char *text_end = words.text + words.octets
    cdef const unsigned char *end
    cdef size_t at
    while refused < text_end:
        end = <const unsigned char *> memchr(refused, LF, text_end - refused)  # each word has one
        at = 0
        while at < count and refused + at < end and upper(word[at]) == refused[at]:
            at += 1
        if at == count and refused + at == end:
            return True
        refused = end + 1
    return False


cdef bint may_pass(const LineScan *scan) noexcept nogil:
    """The line whose beginning is in `head` is complete."""
    cdef size_t start = skip(scan, 0, True)
    cdef size_t end
    if scan.words.are_tagged:
        start = skip(scan, skip(scan, start, False), True)
    end = skip(scan, start, False)
    return end < HEAD_OCTETS and not is_refused(scan.words, scan.head + start, end - start)


cdef bint scan_lines(void *state, const unsigned char *octets, size_t count) noexcept nogil:
    """False: a command among them is refused."""
    cdef LineScan *scan = <LineScan *> state
    cdef const unsigned char *line_end
    cdef size_t taken
    cdef size_t new
    while count > 0:
        line_end = <const unsigned char *> memchr(octets, LF, count)
        taken = count if line_end == NULL else <size_t> (line_end - octets)
        new = min(taken, <size_t> (HEAD_OCTETS - scan.head_octets))
        memcpy(scan.head + scan.head_octets, octets, new)
        scan.head_octets += <uint8_t> new
        if line_end != NULL:
            if not may_pass(scan):
                return False
            scan.head_octets = 0
            taken += 1
        octets += taken
        count -= taken
    return True
