"""`load`: from a file to typed values."""

import re
from ipaddress import ip_address
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.config.attributes import DnAttributes
from gateway.config.attributes import DnField
from gateway.config.attributes import MapValue
from gateway.config.load import LoadResult
from gateway.config.load import load
from gateway.config.model import BUILT_IN_POLICY
from gateway.config.model import Config
from gateway.config.model import Method
from gateway.config.model.words import AaaProtocol
from gateway.config.model.words import LdapTls
from gateway.config.model.words import UpstreamTls
from tests.support.tls import CertificateAuthority

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21l$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo"
SAMPLE = f"""\
[gateway]
firewall-mode = routed            ; "transparent" is an error: the e-mail proxy exists in routed mode only
security-context = single         ; "multiple" is an error, likewise
workers = auto                    ; one per CPU
user = root                       ; dropped to after binding; also group
runtime-directory = /run/gateway
state-directory = /var/lib/gateway
log-format = logfmt               ; or json
log-level = info
shutdown-grace = 1h               ; how long a drained worker keeps its sessions

[tls]
certificate = fullchain.pem
private-key = key.pem
minimum-version = 1.2
client-ca = clients.pem           ; for authentication = certificate
client-crl = clients.crl
[tls mail.example.org]            ; more certificates, chosen by SNI
certificate = mail.pem
private-key = mail.key

[interface outside]
device = lo                       ; or: address = 192.0.2.10, 2001:db8::10
management-only = no              ; enabling a protocol on a management-only interface or a subinterface is an error
enable = pop3s imap4s smtps
proxy-protocol = off              ; or: require; proxy-trusted = CIDRs

[imap4s]                          ; [pop3s] and [smtps] take the same keys
port = 993                        ; pop3s 995, smtps 988
server = imap.example.com         ; default mail server; used when the user names none
server-port = 143                 ; pop3s 110, smtps 587
server-tls = none                 ; none | starttls | implicit; server-ca, server-name
allowed-servers =                 ; names, suffixes (.example.com) and CIDRs a user may name after the server separator;
                                  ; empty: only "server"; * : any (what the ASA did)
outstanding = 20                  ; cap on non-authenticated sessions, 1-1000000; "none": no cap
outstanding-per-address = none
name-separator = :                ; one of @ | : # , ;   or none
server-separator = @              ; likewise; must differ from name-separator
authentication = aaa mailhost     ; any of aaa certificate piggyback mailhost, all that are named must succeed;
                                  ; mailhost is always done by pop3s and imap4s, for smtps the default is aaa
authentication-server-group = RAD
authorization-server-group = AD
authorization-required = no
authorization-dn-attributes = CN OU      ; primary secondary|none, out of C CN DNQ EA GENQ GN I L N O OU SER SN SP T UID
accounting-server-group = RAD
default-group-policy = MAILUSERS         ; none: without a class from AAA the session is refused
[pop3s]
server = pop.example.com
[smtps]
server = smtp.example.com
authentication-server-group = RAD

[aaa-server-group RAD]
protocol = radius                 ; radius | ldap | local
reactivation-mode = depletion     ; or timed (30 s)
deadtime = 10m
max-failed-attempts = 3
accounting-mode = single          ; or simultaneous
interim-update = none

[aaa-server RAD radius1]          ; group, label; order in the file is the order of use
host = 10.0.0.5
authentication-port = 1812
accounting-port = 1813
key = file:radius.key
timeout = 10s
retry-interval = 2s
message-authenticator = require   ; or allow

[aaa-server-group AD]
protocol = ldap
[aaa-server AD dc1]
host = 10.0.0.6
server-port = 636
ldap-over-ssl = enable            ; enable | disable | starttls
ldap-base-dn = dc=example,dc=com
ldap-scope = subtree
ldap-naming-attribute = sAMAccountName
ldap-login-dn = cn=gateway,dc=example,dc=com
ldap-login-password = credential:ldap
ldap-attribute-map = ADMAP

[ldap-attribute-map ADMAP]
map-name = memberOf IETF-Radius-Class
map-value = memberOf "CN=Mail,OU=Groups,DC=example,DC=com" MAILUSERS      ; repeatable, a line each
map-value = memberOf "CN=Boss,OU=Groups,DC=example,DC=com" MAILUSERS

[group-policy MAILUSERS]
simultaneous-logins = 3           ; devices (user + client address), see count-logins-by; 0: nobody
count-logins-by = address         ; or session
idle-timeout = 30m
session-timeout = none
access-hours = OFFICE
allowed-protocols = pop3s imap4s smtps
allowed-networks = *
allowed-servers =                 ; narrows the protocol's list
banner =
server =                          ; overrides the protocol's default server for these users

[time-range OFFICE]
periodic = weekdays 08:00 to 18:00     ; daily | weekdays | weekend | Monday Tuesday ...; repeatable; or absolute

[user alice]                      ; for protocol = local
password = {HASH}
group-policy = MAILUSERS

[portal]                          ; the clientless SSL VPN session that piggyback needs
enable = outside
port = 443
authentication-server-group = RAD
default-group-policy = MAILUSERS
session-timeout = 8h
idle-timeout = 30m

[console]                         ; monitoring and the e-mail proxy panels
listen = 127.0.0.1:8443
[metrics]
listen = 127.0.0.1:9180
[cluster]
store = redis://10.0.0.9/0        ; absent: this machine alone, shared memory
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds every file that the sample names."""
    made = tmp_path_factory.mktemp("load")
    authority = CertificateAuthority(made)
    for name, chain, key in (("localhost", "fullchain.pem", "key.pem"), ("mail.example.org", "mail.pem", "mail.key")):
        issued = authority.issue(name)
        issued.chain.rename(made / chain)
        issued.key.rename(made / key)
    (made / "clients.pem").write_bytes(authority.path.read_bytes())
    authority.revoke([], made / "clients.crl")
    for name in ("radius.key", "ldap"):
        (made / name).write_text("swordfish\n")
        (made / name).chmod(0o600)
    return made


def load_text(directory: Path, text: str) -> LoadResult:
    path = directory / "gw.ini"
    path.write_text(text)
    return load(path)


@pytest.fixture
def sample(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    result = load_text(directory, SAMPLE)
    assert not [problem.render() for problem in result.problems if not problem.code.startswith("W10")]
    assert result.config is not None
    return result.config


def test_the_sample_of_the_manual_has_no_error(sample: Config, directory: Path) -> None:
    warned = {problem.code for problem in load(directory / "gw.ini").problems}
    assert warned <= {"W101", "W102"}


def test_nothing_stays_text_that_has_a_type(sample: Config, directory: Path) -> None:
    imap, radius, ldap = sample.protocols["imap4s"], sample.aaa_groups["RAD"], sample.aaa_groups["AD"]
    assert sample.path == directory / "gw.ini"
    assert sample.gateway.shutdown_grace_s == 3600.0
    assert sample.tls.certificate == directory / "fullchain.pem"
    assert sample.tls_by_name["mail.example.org"].private_key == directory / "mail.key"
    assert sample.interfaces["outside"].enable == {"imap4s", "pop3s", "smtps"}
    assert (imap.port, imap.server, imap.server_tls) == (993, "imap.example.com", UpstreamTls.NONE)
    assert (imap.name_separator, imap.server_separator) == (":", "@")
    assert not imap.allowed_servers
    assert imap.authorization_dn_attributes == DnAttributes(DnField.CN, DnField.OU)
    assert (radius.protocol, radius.servers[0].timeout_s) == (AaaProtocol.RADIUS, 10.0)
    assert radius.servers[0].key is not None
    assert radius.servers[0].key.reveal() == "swordfish"
    assert ldap.servers[0].ldap_over_ssl is LdapTls.ENABLE
    boss = MapValue("memberOf", "CN=Boss,OU=Groups,DC=example,DC=com", "MAILUSERS")
    assert sample.attribute_maps["ADMAP"].map_value[1] == boss
    assert ip_address("198.51.100.1") in sample.group_policies["MAILUSERS"].allowed_networks[0]
    assert sample.users["alice"].password.reveal() == HASH
    assert sample.portal.enable == ("outside",)
    assert str(sample.console.listen) == "127.0.0.1:8443"
    assert sample.worker_count >= 1


def test_no_secret_is_in_a_representation(sample: Config) -> None:
    assert "swordfish" not in repr(sample)
    assert HASH not in repr(sample)


def test_an_empty_configuration_has_the_defaults_of_the_asa(directory: Path) -> None:
    result = load_text(directory, "[interface x]\naddress = 127.0.0.1\n[smtps]\nport = 9988\n")
    assert [problem.code for problem in result.problems] == ["E328"]
    defaults = load_text(directory, SOUND).config
    assert defaults is not None
    ports = {name: (one.port, one.server_port) for name, one in defaults.protocols.items()}
    assert ports == {"imap4s": (993, 143), "pop3s": (995, 110), "smtps": (988, 587)}
    methods = {name: one.authentication for name, one in defaults.protocols.items()}
    assert methods == {"imap4s": {Method.MAILHOST}, "pop3s": {Method.MAILHOST}, "smtps": {Method.AAA}}
    assert all(one.outstanding == 20 for one in defaults.protocols.values())
    assert set(defaults.aaa_groups) == {"LOCAL"}
    assert set(defaults.group_policies) == {"DfltGrpPolicy"}


SOUND = """\
[interface lo]
address = 127.0.0.1
enable = imap4s
[imap4s]
server = 127.0.0.1
[tls]
certificate = fullchain.pem
private-key = key.pem
"""


def test_a_sound_configuration_has_no_problem(directory: Path) -> None:
    assert load_text(directory, SOUND).problems == ()


@pytest.mark.parametrize(
    ("section", "methods"),
    [
        ("[imap4s]\nauthentication = aaa\n", {Method.AAA, Method.MAILHOST}),
        ("[imap4s]\nauthentication =\n", {Method.MAILHOST}),
        ("[pop3s]\nauthentication = piggyback\n", {Method.PIGGYBACK, Method.MAILHOST}),
        ("[smtps]\nauthentication = piggyback\n", {Method.PIGGYBACK}),
        ("[smtps]\nauthentication = aaa, mailhost\n", {Method.AAA, Method.MAILHOST}),
    ],
)
def test_mailhost_is_always_done_by_imap4s_and_pop3s(section: str, methods: set[Method], directory: Path) -> None:
    text = SOUND.replace("[imap4s]\nserver", "[IMAP]\nserver").replace("[IMAP]\n", "[imap4s]\n")
    name = section[1:].partition("]")[0]
    joined = text.replace("[imap4s]\n", section) if name == "imap4s" else text + section
    config = load_text(directory, joined).config
    assert config is not None
    assert config.protocols[name].authentication == methods


def test_a_user_without_class_gets_the_built_in_policy_only_where_no_aaa_is_asked(directory: Path) -> None:
    config = load_text(directory, SOUND + "[pop3s]\nauthentication = aaa\n").config
    assert config is not None
    assert config.policy_without_class(config.protocols["imap4s"]) is BUILT_IN_POLICY
    assert config.policy_without_class(config.protocols["pop3s"]) is None
    assert config.policy_without_class(config.protocols["smtps"]) is None
    assert (BUILT_IN_POLICY.simultaneous_logins, BUILT_IN_POLICY.idle_timeout_s) == (None, None)


def test_a_default_group_policy_is_the_policy_without_class(directory: Path) -> None:
    text = SOUND + "[smtps]\ndefault-group-policy = A\n[group-policy A]\nidle-timeout = 5m\n"
    config = load_text(directory, text).config
    assert config is not None
    policy = config.policy_without_class(config.protocols["smtps"])
    assert policy is not None
    assert (policy.name, policy.idle_timeout_s) == ("A", 300.0)


def test_a_user_may_name_the_default_server_and_the_allowed_ones(directory: Path) -> None:
    text = SOUND + "[pop3s]\nserver = Pop.Example.com\nallowed-servers = .example.org, 10.0.0.0/8\n"
    config = load_text(directory, text).config
    assert config is not None
    pop = config.protocols["pop3s"]
    named = ["pop.example.com", "POP.EXAMPLE.COM.", "a.example.org", "10.2.3.4", "example.org", "11.0.0.1", ""]
    assert [pop.allows_server(server) for server in named] == [True] * 4 + [False] * 3
    assert not config.protocols["smtps"].allows_server("")


def test_the_hostname_is_the_configured_one_or_the_machine_s(directory: Path) -> None:
    given = load_text(directory, SOUND + "[gateway]\nhostname = MX.Example.org\n").config
    own = load_text(directory, SOUND).config
    assert given is not None
    assert own is not None
    assert given.hostname == "mx.example.org"
    assert re.fullmatch(r"[a-z0-9_.-]+", own.hostname)


def test_sections_of_included_files_count(directory: Path) -> None:
    (directory / "conf.d").mkdir()
    (directory / "conf.d" / "10-policy.ini").write_text("[group-policy A]\nallowed-networks = 192.0.2.0/24\n")
    text = SOUND + "[gateway]\ninclude = conf.d/*.ini\n[pop3s]\ndefault-group-policy = A\n"
    config = load_text(directory, text).config
    assert config is not None
    assert config.group_policies["A"].allowed_networks == (ip_network("192.0.2.0/24"),)


def test_a_section_that_is_in_two_files_is_refused_with_both_places(directory: Path) -> None:
    (directory / "more.ini").write_text("[imap4s]\nport = 1\n")
    (problem,) = load_text(directory, SOUND + "[gateway]\ninclude = more.ini\n").problems
    assert problem.headline() == (
        f"{directory}/more.ini:1:1: error[E108]: [imap4s] is already at {directory}/gw.ini:4:1"
    )


def test_an_error_means_no_configuration_and_a_warning_does_not(directory: Path) -> None:
    assert load_text(directory, SOUND + "[pop3s]\noutstanding = 5\n").config is not None
    assert load_text(directory, SOUND + "[pop3s]\nport = x\n").config is None


def test_problems_are_in_the_order_of_the_file(directory: Path) -> None:
    lines = [problem.place.line for problem in load_text(directory, "x\n[a]\n[tls]\nb=c\n[imap4s]\nport=x\n").problems]
    assert lines == sorted(lines)
