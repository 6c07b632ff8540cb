"""What the AAA servers are told of each session: written to a journal by the workers, delivered by the accountant.

A worker's half: base.py what the session layer sees, worker.py where it gets it, sessions.py the sessions that run,
upkeep.py what may wait for a disk, journal.py the file itself.
The accountant's half: cursor.py reads a journal, spooled.py knows its writer, feed.py and marks.py what one stream has
had of it, stream.py what a destination still has to be told, pace.py when, targets.py by whom, group.py all of it.
Both: frames.py, segments.py, records.py. The master: setup.py, last_seen.py.
"""
