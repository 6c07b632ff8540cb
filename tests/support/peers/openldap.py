"""OpenLDAP's slapd, made to look like the directories the gateway asks: people with a group, a mail address, and the
two attributes of Active Directory that administrators map (sAMAccountName, memberOf).

`ldap://` (with StartTLS when there is a certificate) and `ldaps://` on ports of their own.
"""

from typing import ClassVar

from tests.support.peers.base import Peer
from tests.support.peers.base import run_program
from tests.support.ports import LOOPBACK
from tests.support.ports import free_port
from tests.support.tls import Certificate

BASE_DN = "dc=example,dc=test"
PEOPLE_DN = f"ou=people,{BASE_DN}"
LOGIN_DN = f"cn=gateway,{BASE_DN}"
LOGIN_PASSWORD = "search-secret"
PASSWORD = "secret"
"""The password of alice, bob and of the user whose name needs escaping."""
ODD_USER = "o*d(d)\\na=me, jr"


class OpenLdap(Peer):
    """`entries` is LDIF added after the base; `settings` are appended to slapd.conf before the database."""

    packages: ClassVar = {"slapd": "slapd", "slapadd": "slapd", "ldapwhoami": "ldap-utils"}

    def __init__(self, certificate: Certificate | None = None, *, entries: str = "", settings: str = "") -> None:
        self.certificate = certificate
        self.entries = entries
        self.settings = settings
        self.port, self.ldaps_port = free_port(), free_port()

    @property
    def url(self) -> str:
        return f"ldap://{LOOPBACK}:{self.port}"

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://{LOOPBACK}:{self.ldaps_port}"

    def configure(self) -> None:
        (self.directory / "db").mkdir()
        configuration = self.directory / "slapd.conf"
        configuration.write_text(
            CONFIGURATION.format(
                directory=self.directory, tls=self._tls_settings(), settings=self.settings, base_dn=BASE_DN
            )
        )
        run_program("slapadd", "-f", str(configuration), stdin=f"{BASE_LDIF}\n{self.entries}")

    def command(self) -> list[str]:
        urls = f"{self.url} {self.ldaps_url}" if self.certificate else self.url
        return ["slapd", "-f", str(self.directory / "slapd.conf"), "-h", urls, "-d", "none"]

    def probe(self) -> None:
        self.whoami(LOGIN_DN, LOGIN_PASSWORD)

    def whoami(self, dn: str, password: str) -> str:
        """The identity a simple bind gives; PeerError when the bind is refused."""
        return run_program("ldapwhoami", "-x", "-H", self.url, "-o", "nettimeout=2", "-D", dn, "-w", password).strip()

    def _tls_settings(self) -> str:
        if self.certificate is None:
            return ""
        return f"TLSCertificateFile {self.certificate.chain}\nTLSCertificateKeyFile {self.certificate.key}"


CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName'
  EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX '1.3.6.1.4.1.1466.115.121.1.15' SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.102 NAME 'memberOf'
  EQUALITY distinguishedNameMatch SYNTAX '1.3.6.1.4.1.1466.115.121.1.12' )
objectclass ( 1.2.840.113556.1.5.9 NAME 'adUser' SUP top AUXILIARY MAY ( sAMAccountName $ memberOf ) )
pidfile {directory}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
{tls}
{settings}
database mdb
suffix "{base_dn}"
rootdn "cn=admin,{base_dn}"
directory {directory}/db
maxsize 10485760
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous read
"""

BASE_LDIF = f"""\
dn: {BASE_DN}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {PEOPLE_DN}
objectClass: organizationalUnit
ou: people

dn: {LOGIN_DN}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: gateway
userPassword: {LOGIN_PASSWORD}

dn: uid=alice,{PEOPLE_DN}
objectClass: inetOrgPerson
objectClass: adUser
uid: alice
sAMAccountName: alice
cn: Alice
sn: A
mail: alice@example.test
departmentNumber: MAILUSERS
memberOf: CN=Mail,OU=Groups,{BASE_DN}
memberOf: CN=Staff,OU=Groups,{BASE_DN}
userPassword: {PASSWORD}

dn: uid=bob,{PEOPLE_DN}
objectClass: inetOrgPerson
objectClass: adUser
uid: bob
sAMAccountName: bob
cn: Bob
sn: B
mail: bob@example.test
userPassword: {PASSWORD}

dn: cn=odd,{PEOPLE_DN}
objectClass: inetOrgPerson
objectClass: adUser
uid: {ODD_USER}
sAMAccountName: {ODD_USER}
cn: odd
sn: O
departmentNumber: MAILUSERS
userPassword: {PASSWORD}
"""
