# cython: autotestdict=False
"""The table that all workers share: every session, who may be admitted, who has to go.

The operations are plain C functions over a `Table`, need no GIL and cost tens of nanoseconds, however many sessions
there are; `SessionTable` is their thin Python face. The memory itself is that of `_shared.pyx`.

One robust mutex guards it. Of what it guards, only a slot's `state`, written by one store, its `seq` and the facts
written before that store are the truth. Lists, tallies and the numbers of live sessions are derived from them: whoever
gets the mutex of a process that was killed while it held it derives them anew. Numbers that only grow (admitted,
evicted) may miss the one operation that was cut off.

Errors: none from the operations; they return an outcome. The process aborts if the mutex itself is beyond repair.
Limits: texts are cut at their field's size, at a character's border. A user is known by a keyed hash of 64 bits.
"""

import socket
from enum import IntEnum
from typing import NamedTuple

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport abort, qsort
from libc.string cimport memcpy, memset
from posix.unistd cimport read, write

from gateway._shared cimport (
    ACQUIRE, BY_AGE, BY_AGE_AT_ADDRESS, BY_STATE, BY_STATE_AT_ADDRESS, RELAXED, RELEASE, UNLIMITED,
    Aged, Details, Link, List, ProtocolArea, Queue, SharedMemory, Slot, Table, Tally,
    add_u64, fence, load_u8, load_u32, pthread_mutex_t, store_u8, store_u32,
)
from gateway._siphash cimport SipHash, sip_end, sip_octets, sip_start, sip_word

cdef extern from "<errno.h>" nogil:
    const int EOWNERDEAD

cdef extern from "<signal.h>" nogil:
    const int SIGKILL
    int send_signal "raise"(int)

cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *, size_t)

cdef extern from "<pthread.h>" nogil:
    int pthread_mutex_lock(pthread_mutex_t *)
    int pthread_mutex_unlock(pthread_mutex_t *)
    int pthread_mutex_consistent(pthread_mutex_t *)

cdef extern from *:
    bint unlikely(bint) nogil

cdef enum:
    NONE = 0  # no slot, no tally
    COPY_ATTEMPTS = 1000


# ---- faults, for the tests ----

cdef long points_until_fault = 0  # of this process; 0: there will be none
cdef int fault_signal = SIGKILL


cdef inline void fault_point() noexcept nogil:
    """Where it would hurt most to be killed, or held up."""
    global points_until_fault
    if unlikely(points_until_fault > 0):
        points_until_fault -= 1
        if points_until_fault == 0:
            send_signal(fault_signal)


def signal_at_fault_point(long count, int number=SIGKILL):
    global points_until_fault, fault_signal
    points_until_fault = count
    fault_signal = number


# ---- mutex ----

cdef void table_lock(Table *table) noexcept nogil:
    """Spinning first was tried: it gained nothing with two processes and lost with four on two cores."""
    cdef int error = pthread_mutex_lock(&table.header.mutex)
    if error == EOWNERDEAD:
        rebuild(table)
        pthread_mutex_consistent(&table.header.mutex)
    elif error != 0:
        abort()


cdef void table_unlock(Table *table) noexcept nogil:
    cdef uint64_t bells = table.bells
    table.bells = 0
    pthread_mutex_unlock(&table.header.mutex)
    fault_point()
    if bells != 0:
        ring_bells(table, bells)


cdef void ring_bells(Table *table, uint64_t bells) noexcept nogil:
    """Wake workers by their eventfd. Whoever is killed before this is reaped, and `reap` wakes all that must be."""
    cdef uint32_t worker
    cdef uint64_t one = 1
    for worker in range(table.worker_count):
        if bells >> (worker & 63) & 1:
            write(table.eventfds[worker], &one, sizeof(one))


# ---- lists ----

cdef inline void append(Table *table, List *queue, Queue which, uint32_t index) noexcept nogil:
    cdef Link *link = &table.slots[index].links[<int> which]
    link.prev = queue.tail
    link.next = NONE
    fault_point()
    if queue.tail != NONE:
        table.slots[queue.tail].links[<int> which].next = index
    else:
        queue.head = index
    fault_point()
    queue.tail = index
    queue.count += 1
    fault_point()


cdef inline void remove(Table *table, List *queue, Queue which, uint32_t index) noexcept nogil:
    cdef Link *link = &table.slots[index].links[<int> which]
    if link.prev != NONE:
        table.slots[link.prev].links[<int> which].next = link.next
    else:
        queue.head = link.next
    fault_point()
    if link.next != NONE:
        table.slots[link.next].links[<int> which].prev = link.prev
    else:
        queue.tail = link.prev
    queue.count -= 1
    fault_point()


cdef inline void push_free(Table *table, uint32_t index) noexcept nogil:
    """Last in, first out: what was just used is in the cache."""
    table.slots[index].links[<int> BY_STATE].next = table.header.free_head
    fault_point()
    table.header.free_head = index
    table.header.free_count += 1


cdef inline uint32_t free_slots(Table *table) noexcept nogil:
    return table.header.free_count + table.slot_count - table.header.fresh


cdef uint32_t pop_free(Table *table) noexcept nogil:
    cdef uint32_t index = table.header.free_head
    if index != NONE:
        table.header.free_head = table.slots[index].links[<int> BY_STATE].next
        fault_point()
        table.header.free_count -= 1
        return index
    if table.header.fresh == table.slot_count:
        return NONE
    table.header.fresh += 1  # the truth too: what lies behind it was never used
    return table.header.fresh


# ---- keys ----

cdef enum kind_t:
    ADDRESS_KEY
    NAME_KEY
    DEVICE_KEY


cdef uint64_t address_key(Table *table, uint8_t protocol, const uint8_t *address) noexcept nogil:
    """An IPv6 address counts by its /64: one client may choose from that at will."""
    cdef SipHash hash
    cdef bint by_prefix = (address[0] | address[1]) != 0  # neither IPv4-mapped nor loopback
    sip_start(&hash, table.header.keys, <uint64_t> ADDRESS_KEY | <uint64_t> protocol << 8)
    sip_octets(&hash, address, 8 if by_prefix else 16)
    return sip_end(&hash)


cdef uint64_t device_key(Table *table, uint64_t user, const uint8_t *address) noexcept nogil:
    cdef SipHash hash
    sip_start(&hash, table.header.keys, DEVICE_KEY)
    sip_word(&hash, user)
    sip_octets(&hash, address, 16)
    return sip_end(&hash)


cdef uint64_t table_hash_name(Table *table, const char *name, size_t octets) noexcept nogil:
    cdef SipHash hash
    sip_start(&hash, table.header.keys, <uint64_t> NAME_KEY | <uint64_t> octets << 8)
    sip_octets(&hash, name, octets)
    return sip_end(&hash)


# ---- tallies: a hash table of chains, at most half as many tallies as buckets ----

cdef inline uint32_t *bucket_of(Table *table, uint64_t key) noexcept nogil:
    return &table.buckets[key & table.bucket_mask]


cdef uint32_t tally_find(Table *table, uint64_t key) noexcept nogil:
    cdef uint32_t index = bucket_of(table, key)[0]
    while index != NONE and table.tallies[index].key != key:
        index = table.tallies[index].next
    return index


cdef uint32_t tally_make(Table *table, uint64_t key) noexcept nogil:
    """There are twice as many as slots, and a session needs at most two: there is always one."""
    cdef uint32_t index = table.header.free_tally
    cdef uint32_t *bucket = bucket_of(table, key)
    if index != NONE:
        table.header.free_tally = table.tallies[index].next
    else:
        table.header.fresh_tallies += 1
        index = table.header.fresh_tallies
    fault_point()
    memset(&table.tallies[index], 0, sizeof(Tally))
    table.tallies[index].key = key
    table.tallies[index].next = bucket[0]
    fault_point()
    bucket[0] = index
    return index


cdef uint32_t tally_join(Table *table, uint64_t key) noexcept nogil:
    cdef uint32_t index = tally_find(table, key)
    if index == NONE:
        index = tally_make(table, key)
    fault_point()
    table.tallies[index].sessions += 1
    return index


cdef bint tally_leave(Table *table, uint32_t index) noexcept nogil:
    """True: that was the last session, and the tally is gone."""
    cdef Tally *tally = &table.tallies[index]
    cdef uint32_t *at
    tally.sessions -= 1
    if tally.sessions > 0:
        return False
    at = bucket_of(table, tally.key)
    while at[0] != index:
        at = &table.tallies[at[0]].next
    fault_point()
    at[0] = tally.next
    fault_point()
    tally.next = table.header.free_tally
    table.header.free_tally = index
    return True


cdef Tally tally_copy(Table *table, uint64_t key) noexcept nogil:
    """Zeros if nobody has that key: tally 0 is never used."""
    cdef Tally tally
    table_lock(table)
    tally = table.tallies[tally_find(table, key)]
    table_unlock(table)
    return tally


# ---- where a slot is listed and counted, by its state ----

cdef void enlist_outstanding(Table *table, uint32_t index, uint64_t key) noexcept nogil:
    """The youngest of those not authenticated."""
    cdef Slot *slot = &table.slots[index]
    cdef ProtocolArea *protocol = &table.protocols[slot.protocol]
    cdef Tally *tally
    slot.tally = tally_join(table, key)
    tally = &table.tallies[slot.tally]
    append(table, &protocol.by_age, BY_AGE, index)
    append(table, &tally.by_age, BY_AGE_AT_ADDRESS, index)
    if slot.state == UNAUTHENTICATED:
        append(table, &protocol.by_state, BY_STATE, index)
        append(table, &tally.by_state, BY_STATE_AT_ADDRESS, index)


cdef void delist_unauthenticated(Table *table, uint32_t index) noexcept nogil:
    cdef Slot *slot = &table.slots[index]
    remove(table, &table.protocols[slot.protocol].by_state, BY_STATE, index)
    remove(table, &table.tallies[slot.tally].by_state, BY_STATE_AT_ADDRESS, index)


cdef void delist_outstanding(Table *table, uint32_t index) noexcept nogil:
    cdef Slot *slot = &table.slots[index]
    if slot.state == UNAUTHENTICATED:
        delist_unauthenticated(table, index)
    remove(table, &table.protocols[slot.protocol].by_age, BY_AGE, index)
    remove(table, &table.tallies[slot.tally].by_age, BY_AGE_AT_ADDRESS, index)
    tally_leave(table, slot.tally)


cdef void enlist_authenticated(Table *table, uint32_t index, uint64_t user, uint64_t device) noexcept nogil:
    cdef Slot *slot = &table.slots[index]
    cdef uint32_t user_tally = tally_join(table, user)
    cdef Tally *tally
    slot.tally = tally_join(table, device)
    tally = &table.tallies[slot.tally]
    if tally.sessions == 1:
        tally.user = user_tally
        fault_point()
        table.tallies[user_tally].devices += 1
    table.protocols[slot.protocol].authenticated += 1


cdef void delist_authenticated(Table *table, uint32_t index) noexcept nogil:
    cdef Slot *slot = &table.slots[index]
    cdef uint32_t user_tally = table.tallies[slot.tally].user
    table.protocols[slot.protocol].authenticated -= 1
    if tally_leave(table, slot.tally):
        fault_point()
        table.tallies[user_tally].devices -= 1
    tally_leave(table, user_tally)


cdef inline uint64_t bell(uint16_t worker) noexcept nogil:
    return <uint64_t> 1 << (worker & 63)


cdef void enlist_evicted(Table *table, uint32_t index) noexcept nogil:
    """To be told to its owner, who is woken unless he has others to ask for anyway."""
    cdef uint16_t worker = table.slots[index].worker
    cdef List *evicted = &table.workers[worker].evicted
    append(table, evicted, BY_STATE, index)
    if evicted.count == 1:
        table.bells |= bell(worker)


cdef uint64_t unheard(Table *table) noexcept nogil:
    """The bells of all workers that have evicted sessions to ask for."""
    cdef uint64_t bells = 0
    cdef uint16_t worker
    for worker in range(table.worker_count):
        if load_u32(&table.workers[worker].evicted.count, RELAXED) > 0:
            bells |= bell(worker)
    return bells


cdef void delist(Table *table, uint32_t index) noexcept nogil:
    cdef Slot *slot = &table.slots[index]
    if slot.state == UNAUTHENTICATED or slot.state == AUTHENTICATING:
        delist_outstanding(table, index)
    elif slot.state == AUTHENTICATED:
        delist_authenticated(table, index)
    elif slot.state == EVICTED and not slot.told:
        remove(table, &table.workers[slot.worker].evicted, BY_STATE, index)


cdef inline void set_state(Slot *slot, state_t state) noexcept nogil:
    """The store that decides: a process killed before it leaves the old session state, after it the new one."""
    fault_point()
    store_u8(&slot.state, <uint8_t> state, RELEASE)
    fault_point()


# ---- after a death: everything derived, from the slots ----

cdef int younger(const void *left, const void *right) noexcept nogil:
    cdef uint64_t a = (<const Aged *> left).seq
    cdef uint64_t b = (<const Aged *> right).seq
    return (a > b) - (a < b)


cdef void forget_derived(Table *table) noexcept nogil:
    cdef int i
    table.header.free_head = table.header.free_tally = NONE
    table.header.free_count = table.header.fresh_tallies = 0
    memset(table.buckets, 0, (<size_t> table.bucket_mask + 1) * sizeof(uint32_t))
    for i in range(table.protocol_count):
        memset(&table.protocols[i].by_state, 0, sizeof(List))
        memset(&table.protocols[i].by_age, 0, sizeof(List))
        table.protocols[i].authenticated = 0
    for i in range(table.worker_count):
        memset(&table.workers[i].evicted, 0, sizeof(List))


cdef uint32_t enlist_ageless(Table *table) noexcept nogil:
    """Those whose order does not matter; the others are collected in `order`. Returns how many."""
    cdef uint32_t count = 0
    cdef uint32_t index
    cdef Slot *slot
    cdef Details *details
    for index in range(table.header.fresh, 0, -1):
        slot = &table.slots[index]
        details = &table.details[index]
        if slot.state == AUTHENTICATED:
            enlist_authenticated(table, index, details.user, device_key(table, details.user, details.address))
        elif slot.state == FREE:
            push_free(table, index)
        elif slot.state != EVICTED or not slot.told:
            table.order[count].seq = slot.seq
            table.order[count].slot = index
            count += 1
    return count


cdef void enlist_by_age(Table *table, uint32_t index) noexcept nogil:
    cdef Slot *slot = &table.slots[index]
    if slot.state == EVICTED:
        enlist_evicted(table, index)
    else:
        enlist_outstanding(table, index, address_key(table, slot.protocol, table.details[index].address))


cdef void rebuild(Table *table) noexcept nogil:
    """May itself be cut off at any point and begun again."""
    cdef uint32_t count, i
    forget_derived(table)
    fault_point()
    count = enlist_ageless(table)
    qsort(table.order, count, sizeof(Aged), &younger)
    for i in range(count):
        enlist_by_age(table, <uint32_t> table.order[i].slot)
    table.header.recoveries += 1


# ---- the life of a session ----

cdef inline Slot *held(Table *table, Handle handle) noexcept nogil:
    """The session's slot; NULL if it has ended."""
    cdef Slot *slot = &table.slots[handle.slot]
    if slot.generation != handle.generation or slot.state == FREE:
        return NULL
    return slot


cdef inline uint32_t oldest(const List *by_state, const List *by_age) noexcept nogil:
    """The oldest unauthenticated one; if there is none, all are authenticating: the oldest of them."""
    return by_state.head if by_state.head != NONE else by_age.head


cdef void evict(Table *table, uint32_t index, uint8_t why) noexcept nogil:
    cdef Slot *slot = &table.slots[index]
    slot.evicted_from = slot.state
    slot.why = why
    slot.told = False
    add_u64(&table.workers[slot.worker].counters.evictions[slot.protocol][slot.state], 1, RELAXED)
    delist(table, index)
    set_state(slot, EVICTED)
    enlist_evicted(table, index)


cdef void evict_over_caps(Table *table, uint8_t protocol, uint64_t key) noexcept nogil:
    """Make room for one more: more than one goes only if a cap was lowered."""
    cdef ProtocolArea *area = &table.protocols[protocol]
    cdef uint32_t index = tally_find(table, key)
    cdef Tally *tally = &table.tallies[index]
    if index != NONE:
        while tally.by_age.count >= area.address_cap:
            evict(table, oldest(&tally.by_state, &tally.by_age), OUTSTANDING_PER_ADDRESS)
    while area.by_age.count >= area.outstanding_cap:
        evict(table, oldest(&area.by_state, &area.by_age), OUTSTANDING)


cdef void evict_for_want_of_slots(Table *table) noexcept nogil:
    """From the protocol with most that are not authenticated. The slot comes back when its owner has heard of it."""
    cdef ProtocolArea *crowded = &table.protocols[0]
    cdef int i
    for i in range(1, table.protocol_count):
        if table.protocols[i].by_age.count > crowded.by_age.count:
            crowded = &table.protocols[i]
    if crowded.by_age.count > 0:
        evict(table, oldest(&crowded.by_state, &crowded.by_age), TABLE_FULL)


cdef outcome_t table_admit(
    Table *table, uint16_t worker, uint8_t protocol, const uint8_t *address, uint16_t port, uint64_t sid,
    int64_t now_ms, Handle *handle,
) noexcept nogil:
    cdef uint64_t key = address_key(table, protocol, address)
    cdef ProtocolArea *area = &table.protocols[protocol]
    cdef outcome_t outcome = REFUSED
    cdef uint32_t index
    table_lock(table)
    evict_over_caps(table, protocol, key)
    if free_slots(table) <= table.reserve:
        evict_for_want_of_slots(table)
    index = pop_free(table)
    if index != NONE:
        fill(table, index, worker, protocol, address, port, sid, now_ms)
        set_state(&table.slots[index], UNAUTHENTICATED)
        enlist_outstanding(table, index, key)
        area.admitted += 1
        area.peak = max(area.peak, area.by_age.count + area.authenticated)
        handle.slot = index
        handle.generation = table.slots[index].generation
        outcome = DONE
    else:
        area.refused += 1
    table_unlock(table)
    return outcome


cdef inline void fill(
    Table *table, uint32_t index, uint16_t worker, uint8_t protocol, const uint8_t *address, uint16_t port,
    uint64_t sid, int64_t now_ms,
) noexcept nogil:
    cdef Slot *slot = &table.slots[index]
    cdef Details *details = &table.details[index]
    store_u32(&slot.generation, slot.generation + 1, RELAXED)
    fence(RELEASE)  # a reader who sees what follows sees that the session is another one
    fault_point()
    table.header.seq += 1
    slot.seq = table.header.seq
    slot.sid = sid
    slot.worker = worker
    slot.protocol = protocol
    details.octets_in = details.octets_out = details.user = 0
    details.active_ms = details.accepted_ms = now_ms
    memcpy(details.address, address, 16)
    details.port = port
    details.texts_set = 0
    details.version = 0


cdef outcome_t table_start_login(Table *table, Handle handle) noexcept nogil:
    cdef outcome_t outcome = GONE
    cdef Slot *slot
    table_lock(table)
    slot = held(table, handle)
    if slot != NULL and slot.state != EVICTED:
        outcome = DONE
        if slot.state == UNAUTHENTICATED:
            delist_unauthenticated(table, handle.slot)
            set_state(slot, AUTHENTICATING)  # its place by age stays
    table_unlock(table)
    return outcome


cdef bint over_limit(Table *table, uint64_t user, uint64_t device, uint32_t limit, bint by_address) noexcept nogil:
    """Whether the user would then have more than `limit`."""
    cdef uint32_t index = tally_find(table, user)
    if limit == UNLIMITED:
        return False
    if index == NONE:
        return limit == 0
    if not by_address:
        return table.tallies[index].sessions >= limit
    return table.tallies[index].devices + (tally_find(table, device) == NONE) > limit


cdef outcome_t table_authenticate(
    Table *table, Handle handle, uint64_t user, uint32_t limit, bint by_address
) noexcept nogil:
    cdef uint64_t device = device_key(table, user, table.details[handle.slot].address)
    cdef outcome_t outcome = GONE
    cdef ProtocolArea *area
    cdef Slot *slot
    table_lock(table)
    slot = held(table, handle)
    if slot != NULL and (slot.state == UNAUTHENTICATED or slot.state == AUTHENTICATING):
        outcome = REFUSED
        if not over_limit(table, user, device, limit, by_address):
            outcome = DONE
            delist_outstanding(table, handle.slot)
            table.details[handle.slot].user = user
            set_state(slot, AUTHENTICATED)
            enlist_authenticated(table, handle.slot, user, device)
            area = &table.protocols[slot.protocol]
            area.authentications += 1
            area.authenticated_peak = max(area.authenticated_peak, area.authenticated)
    table_unlock(table)
    return outcome


cdef outcome_t table_release(Table *table, Handle handle) noexcept nogil:
    cdef outcome_t outcome = GONE
    cdef Slot *slot
    table_lock(table)
    slot = held(table, handle)
    if slot != NULL:
        outcome = DONE
        delist(table, handle.slot)
        set_state(slot, FREE)
        push_free(table, handle.slot)
    table_unlock(table)
    return outcome


cdef outcome_t table_kick(Table *table, Handle handle, uint8_t why) noexcept nogil:
    cdef outcome_t outcome = GONE
    cdef Slot *slot
    table_lock(table)
    slot = held(table, handle)
    if slot != NULL and slot.state != EVICTED:
        outcome = DONE
        evict(table, handle.slot, why)
    table_unlock(table)
    return outcome


cdef bint table_next_evicted(Table *table, uint16_t worker, Eviction *eviction) noexcept nogil:
    cdef List *evicted = &table.workers[worker].evicted
    cdef uint32_t index
    cdef Slot *slot
    table_lock(table)
    index = evicted.head
    if index != NONE:
        slot = &table.slots[index]
        eviction.handle.slot = index
        eviction.handle.generation = slot.generation
        eviction.sid = slot.sid
        eviction.why = slot.why
        eviction.evicted_from = slot.evicted_from
        remove(table, evicted, BY_STATE, index)
        slot.told = True
        fault_point()
    table_unlock(table)
    return index != NONE


# ---- texts, and copies of whole sessions ----

cdef uint32_t[8] TEXT_BOUNDS = [0, 96, 192, 288, 352, 360, 400, 448]  # text n is texts[bound n : bound n + 1]


cdef inline char *text_place(Details *details, text_t which, size_t *size) noexcept nogil:
    size[0] = TEXT_BOUNDS[<int> which + 1] - TEXT_BOUNDS[<int> which]
    return &details.texts[TEXT_BOUNDS[<int> which]]


cdef size_t cut_utf8(const char *text, size_t octets, size_t limit) noexcept nogil:
    """How many octets of the text to keep, so that no character is cut in two."""
    if octets <= limit:
        return octets
    while limit > 0 and (<uint8_t> text[limit] & 0xC0) == 0x80:
        limit -= 1
    return limit


cdef outcome_t table_set_text(
    Table *table, Handle handle, text_t which, const char *text, size_t octets
) noexcept nogil:
    """By the owner, which needs no lock: nobody else writes, and readers look at the version."""
    cdef Details *details = &table.details[handle.slot]
    cdef size_t size = 0
    cdef char *place = text_place(details, which, &size)
    cdef size_t kept = cut_utf8(text, octets, size)
    cdef uint32_t version = details.version
    if held(table, handle) == NULL:
        return GONE
    store_u32(&details.version, version + 1, RELAXED)
    fence(RELEASE)
    memcpy(place, text, kept)
    fault_point()
    memset(place + kept, 0, size - kept)
    details.texts_set |= 1 << <int> which
    store_u32(&details.version, version + 2, RELEASE)
    return DONE


cdef bint copy_session(Table *table, uint32_t index, Slot *slot, Details *details) noexcept nogil:
    """A consistent copy without the lock; False: the slot is free.

    Should the owner have died half way through a text, that text is taken as it is.
    """
    cdef Slot *source = &table.slots[index]
    cdef Details *facts = &table.details[index]
    cdef uint32_t generation, version
    cdef uint8_t state
    for _ in range(COPY_ATTEMPTS):
        generation = load_u32(&source.generation, ACQUIRE)
        state = load_u8(&source.state, ACQUIRE)
        if state == FREE:
            return False
        version = load_u32(&facts.version, ACQUIRE)
        slot[0] = source[0]
        fault_point()
        details[0] = facts[0]
        fault_point()
        fence(ACQUIRE)
        if (
            version & 1 == 0
            and version == load_u32(&facts.version, RELAXED)
            and generation == load_u32(&source.generation, RELAXED)
        ):
            break
    slot.state = state
    return True


# ---- for Python ----

SlotState = IntEnum("SlotState", {
    "UNAUTHENTICATED": UNAUTHENTICATED,
    "AUTHENTICATING": AUTHENTICATING,
    "AUTHENTICATED": AUTHENTICATED,
    "EVICTED": EVICTED,
}, module=__name__)
cdef tuple STATES = (None, *SlotState)

Outcome = IntEnum("Outcome", {"DONE": DONE, "GONE": GONE, "REFUSED": REFUSED}, module=__name__)

Why = IntEnum("Why", {
    "OUTSTANDING": OUTSTANDING,
    "OUTSTANDING_PER_ADDRESS": OUTSTANDING_PER_ADDRESS,
    "TABLE_FULL": TABLE_FULL,
    "LOGGED_OFF": LOGGED_OFF,
}, module=__name__)


class SessionRecord(NamedTuple):
    slot: int
    generation: int
    serial: int
    sid: int
    worker: int
    protocol: int
    state: SlotState
    evicted_from: SlotState | None
    why: int | None
    address: str
    port: int
    accepted_ms: int
    active_ms: int
    octets_in: int
    octets_out: int
    user_hash: int
    vpn_user: str
    mail_user: str
    server: str
    group_policy: str
    tls_version: str
    cipher: str
    accounting_id: str


class ProtocolCounts(NamedTuple):
    unauthenticated: int
    authenticating: int
    authenticated: int
    peak: int
    authenticated_peak: int
    admitted: int
    authentications: int
    refused: int


cdef str text_of(Details *details, text_t which):
    cdef size_t size = 0
    cdef char *octets = text_place(details, which, &size)
    if not details.texts_set >> <int> which & 1:
        return ""
    return octets[:strnlen(octets, size)].decode("utf-8", "replace")


cdef str address_of(Details *details):
    cdef bytes octets = (<char *> details.address)[:16]
    if octets.startswith(b"\0\0\0\0\0\0\0\0\0\0\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, octets[12:])
    return socket.inet_ntop(socket.AF_INET6, octets)


cdef object record_of(uint32_t index, Slot *slot, Details *details):
    cdef bint evicted = slot.state == EVICTED
    return SessionRecord(
        index, slot.generation, slot.seq, slot.sid, slot.worker, slot.protocol,
        STATES[slot.state], STATES[slot.evicted_from] if evicted else None, slot.why if evicted else None,
        address_of(details), details.port, details.accepted_ms, details.active_ms,
        details.octets_in, details.octets_out, details.user,
        *[text_of(details, <text_t> which) for which in range(TEXTS)],
    )


cdef uint32_t limit_of(object number) except? 0:
    """None: none."""
    if number is None:
        return UNLIMITED
    if not 0 <= number < UNLIMITED:
        raise ValueError(f"not a limit: {number}")
    return number


cdef const uint8_t *address_octets(bytes address) except NULL:
    if len(address) != 16:
        raise ValueError("an address is 16 octets")
    return <const uint8_t *> <const char *> address


@cython.final
cdef class SessionTable(SharedMemory):
    @property
    def recoveries(self):
        return self.table.header.recoveries

    def set_caps(self, protocol, outstanding, per_address):
        cdef ProtocolArea *area = &self.table.protocols[self.protocol_number(protocol)]
        cdef uint32_t outstanding_cap = limit_of(outstanding)
        cdef uint32_t address_cap = limit_of(per_address)
        if outstanding_cap == 0 or address_cap == 0:
            raise ValueError("a cap is at least 1: the newcomer is never the one to go")
        table_lock(&self.table)
        area.outstanding_cap = outstanding_cap
        area.address_cap = address_cap
        table_unlock(&self.table)

    # -- by the owner --

    def admit(self, worker, protocol, bytes address, uint16_t port, uint64_t sid, int64_t now_ms):
        cdef uint16_t worker_number = self.worker_number(worker)
        cdef uint8_t protocol_number = self.protocol_number(protocol)
        cdef const uint8_t *octets = address_octets(address)
        cdef Handle handle
        if table_admit(&self.table, worker_number, protocol_number, octets, port, sid, now_ms, &handle) != DONE:
            return None
        return handle.slot, handle.generation

    def start_login(self, slot, generation):
        return table_start_login(&self.table, self.handle(slot, generation)) == DONE

    def authenticate(self, slot, generation, bytes user, limit, *, bint by_address):
        cdef Handle handle = self.handle(slot, generation)
        cdef uint64_t key = table_hash_name(&self.table, user, len(user))
        return Outcome(table_authenticate(&self.table, handle, key, limit_of(limit), by_address))

    def describe(
        self, slot, generation, *, vpn_user=None, mail_user=None, server=None, group_policy=None, tls_version=None,
        cipher=None, accounting_id=None,
    ):
        cdef Handle handle = self.handle(slot, generation)
        cdef bytes octets
        cdef int which
        cdef bint there = held(&self.table, handle) != NULL
        texts = (vpn_user, mail_user, server, group_policy, tls_version, cipher, accounting_id)
        for which in range(<int> TEXTS):
            if there and texts[which] is not None:
                octets = texts[which].encode("utf-8", "replace")
                there = table_set_text(&self.table, handle, <text_t> which, octets, len(octets)) == DONE
        return there

    def touch(self, slot, generation, uint64_t octets_in, uint64_t octets_out, int64_t now_ms):
        cdef Handle handle = self.handle(slot, generation)
        if held(&self.table, handle) == NULL:
            return False
        table_touch(&self.table, handle.slot, octets_in, octets_out, now_ms)
        return True

    def release(self, slot, generation):
        return table_release(&self.table, self.handle(slot, generation)) == DONE

    def next_evicted(self, worker):
        cdef Eviction eviction
        if not table_next_evicted(&self.table, self.worker_number(worker), &eviction):
            return None
        return self.record(eviction.handle.slot)

    # -- by anyone --

    def kick(self, slot, generation, why=LOGGED_OFF):
        if not LOGGED_OFF <= why <= 255:
            raise ValueError(f"not a reason to kick: {why}")
        return table_kick(&self.table, self.handle(slot, generation), why) == DONE

    def reap(self, worker):
        cdef uint16_t dead = self.worker_number(worker)
        cdef uint32_t index
        cdef uint64_t rings
        records = []
        table_lock(&self.table)  # whoever died with it, the table is mended now
        table_unlock(&self.table)
        for index in range(1, load_u32(&self.table.header.fresh, ACQUIRE) + 1):
            if self.table.slots[index].worker == dead and self.table.slots[index].state != FREE:
                records.append(self.record(index))
                table_release(&self.table, self.handle(index, self.table.slots[index].generation))
        read(self.table.eventfds[dead], &rings, sizeof(rings))
        ring_bells(&self.table, unheard(&self.table))
        return records

    def session(self, slot, generation):
        cdef Handle handle = self.handle(slot, generation)
        record = self.record(handle.slot)
        return record if record is not None and record.generation == handle.generation else None

    def sessions(self):
        cdef uint32_t index
        for index in range(1, load_u32(&self.table.header.fresh, ACQUIRE) + 1):
            record = self.record(index)
            if record is not None:
                yield record

    def counts(self, protocol):
        cdef ProtocolArea area
        cdef uint8_t number = self.protocol_number(protocol)
        table_lock(&self.table)
        area = self.table.protocols[number]
        table_unlock(&self.table)
        return ProtocolCounts(
            area.by_state.count, area.by_age.count - area.by_state.count, area.authenticated, area.peak,
            area.authenticated_peak, area.admitted, area.authentications, area.refused,
        )

    def free_slots(self):
        cdef uint32_t count
        table_lock(&self.table)
        count = free_slots(&self.table)
        table_unlock(&self.table)
        return count

    def outstanding_of(self, protocol, bytes address):
        cdef uint8_t number = self.protocol_number(protocol)
        return tally_copy(&self.table, address_key(&self.table, number, address_octets(address))).sessions

    def logins_of(self, bytes user):
        cdef Tally tally = tally_copy(&self.table, table_hash_name(&self.table, user, len(user)))
        return tally.sessions, tally.devices

    def hash_name(self, bytes name):
        return table_hash_name(&self.table, name, len(name))

    # -- for tests, and for who looks with a debugger --

    def freeze(self):
        table_lock(&self.table)

    def thaw(self):
        table_unlock(&self.table)

    # -- arguments and results --

    cdef object record(self, uint32_t index):
        cdef Slot slot
        cdef Details details
        if not copy_session(&self.table, index, &slot, &details):
            return None
        return record_of(index, &slot, &details)

    cdef Handle handle(self, slot, generation) except *:
        cdef Handle handle
        if not 1 <= slot <= self.table.slot_count:
            raise ValueError(f"slot must be 1 to {self.table.slot_count}, not {slot}")
        handle.slot = slot
        handle.generation = generation
        return handle

    cdef int worker_number(self, worker) except -1:
        if not 0 <= worker < self.table.worker_count:
            raise ValueError(f"worker must be 0 to {self.table.worker_count - 1}, not {worker}")
        return worker

    cdef int protocol_number(self, protocol) except -1:
        if not 0 <= protocol < self.table.protocol_count:
            raise ValueError(f"protocol must be 0 to {self.table.protocol_count - 1}, not {protocol}")
        return protocol
