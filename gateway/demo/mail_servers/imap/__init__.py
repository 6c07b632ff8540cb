"""IMAP over the store: IMAP4rev1 with what today's mail programs use, from the greeting to LOGOUT."""
