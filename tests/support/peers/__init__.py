"""Real servers on loopback, one module each. None needs a prepared machine beyond its Debian package."""

from tests.support.peers.base import Peer as Peer
from tests.support.peers.base import PeerError as PeerError
from tests.support.peers.base import StartPeer as StartPeer
from tests.support.peers.dovecot import Dovecot as Dovecot
from tests.support.peers.dovecot import Tls as Tls
from tests.support.peers.freeradius import FreeRadius as FreeRadius
from tests.support.peers.openldap import OpenLdap as OpenLdap
from tests.support.peers.postfix import Postfix as Postfix
from tests.support.peers.postfix import SmtpSink as SmtpSink
from tests.support.peers.redis import Redis as Redis
