"""From the configuration to `Service` objects: the one place where settings become the parts that use them."""

from gateway.aaa.base import Backend
from gateway.aaa.chain import AaaMethod
from gateway.aaa.chain import Chain
from gateway.aaa.chain import ClosedMethod
from gateway.aaa.chain import Method as ChainMethod
from gateway.aaa.local import LocalBackend
from gateway.aaa.local import LocalUser
from gateway.config.model import Config
from gateway.config.model import Method
from gateway.config.model import ProtocolSettings
from gateway.config.model.words import AaaProtocol
from gateway.credentials import Delimiters
from gateway.log import Log
from gateway.policy.rules import Policies
from gateway.protocol.base import ServerSettings
from gateway.protocol.registry import PROTOCOLS
from gateway.session.service import Service
from gateway.upstream.connect import Dialer
from gateway.upstream.connect import UpstreamTls
from gateway.upstream.login import MailServers
from gateway.upstream.login import UpstreamSettings
from gateway.worker.inheritance import TlsSetup


class Assembly:
    """Makes the services of one worker; what they can share (the local users' threads, the dialer) is made once."""

    def __init__(self, config: Config, tls: TlsSetup, dialer: Dialer, log: Log) -> None:
        self._config = config
        self._tls = tls
        self._dialer = dialer
        self._log = log
        self._local: LocalBackend | None = None

    def service(self, protocol: str, interface: str) -> Service:
        """The service of one protocol on one interface."""
        config, settings, spec = self._config, self._config.protocols[protocol], PROTOCOLS[protocol]
        return Service(
            spec=spec,
            interface=interface,
            dialogue=ServerSettings(
                hostname=config.hostname.encode(),
                capabilities=tuple(capability.encode() for capability in settings.capabilities),
                max_errors=settings.max_errors,
            ),
            delimiters=Delimiters(settings.name_separator, settings.server_separator),
            is_allowed_server=settings.allows_server,
            default_server=settings.server,
            chain=Chain(self._methods(settings)),
            policies=Policies(config.group_policies, config.policy_without_class(settings), config.time_ranges),
            mail_servers=MailServers(spec, self._upstream(settings), self._dialer),
            mailhost=Method.MAILHOST in settings.authentication,
            max_login_attempts=settings.max_login_attempts,
            handshake_timeout_s=settings.handshake_timeout_s,
            login_timeout_s=settings.handshake_timeout_s + settings.login_timeout_s,
            failure_delay_s=settings.failure_delay_s or 0.0,
            idle_timeout_s=settings.idle_timeout_s,
            session_timeout_s=settings.session_timeout_s,
            log=self._log,
        )

    def _methods(self, settings: ProtocolSettings) -> list[ChainMethod]:
        """In the fixed order; what this version cannot do refuses."""
        methods: list[ChainMethod] = [
            ClosedMethod(f"authentication = {method.value} is not yet in effect")
            for method in (Method.CERTIFICATE, Method.PIGGYBACK)
            if method in settings.authentication
        ]
        if Method.AAA in settings.authentication:
            methods.append(self._aaa_method(settings.authentication_server_group))
        if settings.authorization_server_group or settings.authorization_required:
            methods.append(ClosedMethod("authorization is not yet in effect"))
        return methods

    def _aaa_method(self, group_name: str | None) -> ChainMethod:
        if group_name is None:
            return ClosedMethod("authentication = aaa without an authentication-server-group")
        group = self._config.aaa_groups[group_name]
        if group.protocol is not AaaProtocol.LOCAL:
            return ClosedMethod(f"AAA group {group_name}: {group.protocol.value} is not yet in effect")
        return AaaMethod(group_name, self._local_backend())

    def _local_backend(self) -> Backend:
        if self._local is None:
            users = self._config.users.values()
            self._local = LocalBackend(
                {user.name: LocalUser(user.password.reveal(), user.group_policy) for user in users}
            )
        return self._local

    def _upstream(self, settings: ProtocolSettings) -> UpstreamSettings:
        names = {settings.server: settings.server_name} if settings.server and settings.server_name else {}
        return UpstreamSettings(
            port=settings.server_port,
            tls=UpstreamTls(settings.server_tls.value, self._tls.upstream.get(settings.name), names),
            hostname=self._config.hostname.encode(),
            connect_timeout_s=settings.connect_timeout_s,
            login_timeout_s=settings.upstream_login_timeout_s,
        )
