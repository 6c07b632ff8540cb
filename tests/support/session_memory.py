"""The session table's memory, read without the module under test, and what must be true of it at any time.

The layout below is written out a second time on purpose: master and workers of two versions share that memory, so a
change of `_shared.pxd` that forgets to raise LAYOUT has to fail here.
"""

import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import NamedTuple

from gateway._sessions import SessionTable

FREE, UNAUTHENTICATED, AUTHENTICATING, AUTHENTICATED, EVICTED = range(5)
BY_STATE, BY_AGE, BY_STATE_AT_ADDRESS, BY_AGE_AT_ADDRESS = range(4)

GEOMETRY = struct.Struct("=QIIIII7I9Q")
HEADER_TAIL = struct.Struct("=QQIIIII")
HEADER_TAIL_AT = 128 + 16 + 48 + 40  # geometry, keys, unused, pthread_mutex_t
PROTOCOL = struct.Struct("=3I3I6I3Q56x")
WORKER_OCTETS = 64 + 1600
SLOT = struct.Struct("=QQII8IHBBBBBx")
DETAILS = struct.Struct("=QQqqQ16sIHBx448s")
TALLY = struct.Struct("=QIIII3I3I")
SERVER_OCTETS = 256
LIST = struct.Struct("=III")


@dataclass(frozen=True, slots=True)
class List:
    head: int
    tail: int
    count: int


class Slot(NamedTuple):
    seq: int
    sid: int
    generation: int
    tally: int
    links: tuple[int, ...]
    worker: int
    protocol: int
    state: int
    evicted_from: int
    why: int
    told: int


class Tally(NamedTuple):
    key: int
    next: int
    sessions: int
    devices: int
    user: int
    by_state: List
    by_age: List


class Protocol(NamedTuple):
    by_state: List
    by_age: List
    authenticated: int


@dataclass(slots=True)
class Image:
    """A copy of everything, taken while nobody changed it."""

    slot_count: int
    bucket_mask: int
    seq: int
    fresh: int
    free_head: int
    free_count: int
    fresh_tallies: int
    free_tally: int
    protocols: list[Protocol]
    evicted: list[List]
    slots: list[Slot]
    owners: list[tuple[int, bytes]]  # user hash and address of each slot
    tallies: list[Tally]
    buckets: list[int]


def image_of(table: SessionTable) -> Image:
    """Freezes the table for as long as it takes to copy its memory."""
    with mmap.mmap(table.fd, 0, access=mmap.ACCESS_READ) as memory:
        table.freeze()
        try:
            octets = bytes(memory)
        finally:
            table.thaw()
    return parse_image(octets)


def parse_image(octets: bytes) -> Image:
    _, layout, slots, workers, protocols, buckets, *rest = GEOMETRY.unpack_from(octets)
    sizes, places = rest[:7], rest[7:]
    assert layout == 1, "raise the layout here too, and look at every struct"
    assert sizes[1:] == [PROTOCOL.size, WORKER_OCTETS, SERVER_OCTETS, SLOT.size, DETAILS.size, TALLY.size]
    protocols_at, workers_at, _, slots_at, details_at, tallies_at, buckets_at, _, length = places
    assert length == len(octets)
    seq, _, fresh, free_head, free_count, fresh_tallies, free_tally = HEADER_TAIL.unpack_from(octets, HEADER_TAIL_AT)
    details = DETAILS.iter_unpack(octets[details_at : details_at + (fresh + 1) * DETAILS.size])
    return Image(
        slot_count=slots,
        bucket_mask=buckets - 1,
        seq=seq,
        fresh=fresh,
        free_head=free_head,
        free_count=free_count,
        fresh_tallies=fresh_tallies,
        free_tally=free_tally,
        protocols=[parse_protocol(octets, protocols_at + i * PROTOCOL.size) for i in range(protocols)],
        evicted=[List(*LIST.unpack_from(octets, workers_at + i * WORKER_OCTETS)) for i in range(workers)],
        slots=[parse_slot(octets, slots_at + i * SLOT.size) for i in range(slots + 1)],
        owners=[(fields[4], fields[5]) for fields in details],
        tallies=[parse_tally(octets, tallies_at + i * TALLY.size) for i in range(fresh_tallies + 1)],
        buckets=list(struct.unpack_from(f"={buckets}I", octets, buckets_at)),
    )


def parse_protocol(octets: bytes, at: int) -> Protocol:
    numbers = PROTOCOL.unpack_from(octets, at)
    return Protocol(List(*numbers[:3]), List(*numbers[3:6]), numbers[6])


def parse_slot(octets: bytes, at: int) -> Slot:
    numbers = SLOT.unpack_from(octets, at)
    return Slot._make([*numbers[:4], numbers[4:12], *numbers[12:]])


def parse_tally(octets: bytes, at: int) -> Tally:
    numbers = TALLY.unpack_from(octets, at)
    return Tally._make([*numbers[:5], List(*numbers[5:8]), List(*numbers[8:11])])


def faults_of(table: SessionTable) -> list[str]:
    """What is wrong with the table, in words; nothing, one hopes."""
    return Audit(image_of(table)).run()


@dataclass(slots=True)
class Audit:
    image: Image
    faults: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        self.check_slots()
        self.check_lists()
        self.check_free()
        self.check_chains()
        self.check_tallies()
        return self.faults

    def expect(self, found: object, wanted: object, what: str) -> None:
        if found != wanted:
            self.faults.append(f"{what}: {found}, not {wanted}")

    def indices(self, *states: int) -> list[int]:
        return [i for i in range(1, self.image.fresh + 1) if self.image.slots[i].state in states]

    def check_slots(self) -> None:
        image = self.image
        self.expect(image.fresh <= image.slot_count, True, "fresh within the slots")
        self.expect({slot.state for slot in image.slots[image.fresh + 1 :]} <= {FREE}, True, "unused slots are free")
        ages = [image.slots[i].seq for i in self.indices(UNAUTHENTICATED, AUTHENTICATING, AUTHENTICATED, EVICTED)]
        self.expect(len(set(ages)), len(ages), "different ages")
        self.expect(max(ages, default=0) <= image.seq, True, "no age from the future")

    def walk(self, queue: List, which: int, what: str) -> list[int]:
        """The slots of a list, both ways."""
        found: list[int] = []
        previous, index = 0, queue.head
        while index and len(found) <= self.image.slot_count:
            link_previous, link_next = self.image.slots[index].links[2 * which : 2 * which + 2]
            self.expect(link_previous, previous, f"{what}: link back from slot {index}")
            found.append(index)
            previous, index = index, link_next
        self.expect(queue.tail, previous, f"{what}: tail")
        self.expect(queue.count, len(found), f"{what}: count")
        return found

    def expect_by_age(self, queue: List, which: int, members: list[int], what: str) -> None:
        by_age = sorted(members, key=lambda index: self.image.slots[index].seq)
        self.expect(self.walk(queue, which, what), by_age, what)

    def check_lists(self) -> None:
        slots = self.image.slots
        for number, protocol in enumerate(self.image.protocols):
            mine = [i for i in self.indices(UNAUTHENTICATED, AUTHENTICATING) if slots[i].protocol == number]
            waiting = [i for i in mine if slots[i].state == UNAUTHENTICATED]
            self.expect_by_age(protocol.by_age, BY_AGE, mine, f"protocol {number} by age")
            self.expect_by_age(protocol.by_state, BY_STATE, waiting, f"protocol {number} by state")
            authenticated = [i for i in self.indices(AUTHENTICATED) if slots[i].protocol == number]
            self.expect(protocol.authenticated, len(authenticated), f"authenticated of protocol {number}")
        for worker, evicted in enumerate(self.image.evicted):
            untold = [i for i in self.indices(EVICTED) if slots[i].worker == worker and not slots[i].told]
            found = self.walk(evicted, BY_STATE, f"evicted of worker {worker}")
            self.expect(sorted(found), sorted(untold), f"evicted of worker {worker}")

    def check_free(self) -> None:
        found: list[int] = []
        index = self.image.free_head
        while index and len(found) <= self.image.slot_count:
            found.append(index)
            index = self.image.slots[index].links[1]
        self.expect(sorted(found), self.indices(FREE), "free slots")
        self.expect(self.image.free_count, len(found), "count of free slots")

    def chain(self, index: int) -> Iterator[int]:
        for _ in range(self.image.fresh_tallies + 1):
            if not index:
                return
            yield index
            index = self.image.tallies[index].next
        self.faults.append("a chain of tallies is a circle")

    def check_chains(self) -> None:
        used = [index for head in self.image.buckets for index in self.chain(head)]
        free = list(self.chain(self.image.free_tally))
        self.expect(sorted(used + free), list(range(1, self.image.fresh_tallies + 1)), "tallies, used and free")
        for bucket, head in enumerate(self.image.buckets):
            for index in self.chain(head):
                self.expect(self.image.tallies[index].key & self.image.bucket_mask, bucket, f"bucket of tally {index}")
        keys = [self.image.tallies[index].key for index in used]
        self.expect(len(set(keys)), len(keys), "different keys")
        self.expect(set(used), self.tallies_in_use(), "tallies in use")

    def tallies_in_use(self) -> set[int]:
        direct = {self.image.slots[i].tally for i in self.indices(UNAUTHENTICATED, AUTHENTICATING, AUTHENTICATED)}
        devices = {self.image.slots[i].tally for i in self.indices(AUTHENTICATED)}
        return direct | {self.image.tallies[index].user for index in devices}

    def check_tallies(self) -> None:
        self.check_addresses()
        self.check_users()

    def check_addresses(self) -> None:
        image = self.image
        outstanding = self.indices(UNAUTHENTICATED, AUTHENTICATING)
        groups: dict[tuple[int, bytes], list[int]] = {}
        for i in outstanding:
            address = image.owners[i][1]
            counted = address if address.startswith(bytes(2)) else address[:8]  # IPv6: the /64
            groups.setdefault((image.slots[i].protocol, counted), []).append(i)
        for key, members in groups.items():
            tallies = {image.slots[i].tally for i in members}
            self.expect(len(tallies), 1, f"one tally for {key}")
            tally = image.tallies[tallies.pop()]
            self.expect(tally.sessions, len(members), f"sessions of {key}")
            waiting = [i for i in members if image.slots[i].state == UNAUTHENTICATED]
            self.expect_by_age(tally.by_age, BY_AGE_AT_ADDRESS, members, f"{key} by age")
            self.expect_by_age(tally.by_state, BY_STATE_AT_ADDRESS, waiting, f"{key} by state")
        self.expect(len({image.slots[i].tally for i in outstanding}), len(groups), "a tally for each address")

    def check_users(self) -> None:
        image = self.image
        sessions = Counter(image.owners[i] for i in self.indices(AUTHENTICATED))
        tallies = {image.owners[i]: image.slots[i].tally for i in self.indices(AUTHENTICATED)}
        for i in self.indices(AUTHENTICATED):
            self.expect(image.slots[i].tally, tallies[image.owners[i]], f"tally of slot {i}")
        for owner, index in tallies.items():
            user = image.tallies[image.tallies[index].user]
            self.expect(image.tallies[index].sessions, sessions[owner], f"sessions of {owner}")
            self.expect(user.key, owner[0], f"user of {owner}")
            mine = [other for other in sessions if other[0] == owner[0]]
            self.expect(user.devices, len(mine), f"addresses of user {owner[0]}")
            self.expect(user.sessions, sum(sessions[other] for other in mine), f"sessions of user {owner[0]}")
