"""A worker's life after the fork: make what must not be shared, accept, serve, drain, end.

Signals: SIGTERM ends every session now, with its farewell; SIGQUIT stops accepting and waits for the sessions' own
end. SIGINT is left to the master (a terminal sends it to the whole group). When the master is gone, as SIGQUIT.

Errors: what cannot be served is an exception, which ends the worker before it says that it is ready.
"""



from gateway.worker.inheritance import Inheritance


def run(index: int, inheritance: Inheritance, ready_fd: int) -> int:
    """Serve until told to stop; the exit code."""
    raise NotImplementedError
