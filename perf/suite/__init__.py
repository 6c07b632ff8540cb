"""Measures the gateway beside nginx, Dovecot, HAProxy and stunnel on one machine, in one run, in turns.

`python -m perf.suite` says how; docs/performance.md holds the figures of the last full run.

    servers.py     what is measured, and the mail server behind it
    load.py        the load generator, started, paused at its gates, read
    trial.py       one run of a mode against one server, checked against what the mail server counted
    chapters/      the questions, each with its servers and modes
    records.py     the results, a JSON line each
    spread.py      medians, ratios, and how far to believe them
    goals.py       what is to be reached
    report.py      the page; plots.py and svg.py its pictures
"""
