"""Tests against real daemons: Dovecot, Postfix, OpenLDAP, FreeRADIUS, Redis."""
