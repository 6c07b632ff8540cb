"""LDAP: a user is searched for, then bound as (RFC 4511, RFC 4513).

python-ldap is imported by this package only, so a gateway without an LDAP group does not load it. Import it before the
first login: libldap asks the name server for this machine's own name when it is loaded.
"""
