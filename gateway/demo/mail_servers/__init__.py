"""Mail servers for the demo: IMAP, POP3 and SMTP over one store in memory. Plain text, on 127.0.0.1 only.

They are good enough for real mail programs and strict about nothing; what they cannot do, they say they cannot.
Limits: every line, literal, message, folder and the number of connections have one; see each module.
"""
