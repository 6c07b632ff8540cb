#!/usr/bin/env bash
# Sets a Debian machine up, step by step; the Makefile calls it when something is stale.
#
#   bootstrap.sh run       what the gateway needs: compiler, headers, virtual environment, the package itself
#   bootstrap.sh dev       what its tests and checks need from PyPI
#   bootstrap.sh servers   the server programs that its tests talk to (SKIP_SERVERS=1: go on without them)
#   bootstrap.sh perf      the proxies that it is measured beside, and the tools to measure
#
# As root it installs the system packages that are missing; otherwise it lists them and stops.
# Nothing that it installs is started, now or at the next boot: the tests start what they need, on loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
readonly VENV=.venv

# package | a program, file or Perl module that shows it is there | what it is, for systems with other package names
readonly RUN_PACKAGES='
gcc                | gcc                       | C compiler
libc6-dev          | /usr/include/stdlib.h     | C library headers
libldap-dev        | /usr/include/ldap.h       | OpenLDAP headers
libsasl2-dev       | /usr/include/sasl/sasl.h  | Cyrus SASL headers'
readonly PYTHON_PACKAGES='
python3            | -                         | Python 3.11 or later
python3-dev        | -                         | with its headers (Python.h)
python3-venv       | -                         | and the venv module'
readonly SERVER_PACKAGES='
curl               | curl                      | IMAP, POP3 and SMTP client
dovecot-imapd      | /usr/lib/dovecot/imap     | IMAP server
dovecot-pop3d      | /usr/lib/dovecot/pop3     | POP3 server
freeradius         | freeradius                | RADIUS server
freeradius-utils   | radclient                 | RADIUS client
iproute2           | ss                        | lists connections and whose they are
ldap-utils         | ldapsearch                | LDAP client
libnet-ssleay-perl | perl:Net::SSLeay          | TLS for the SMTP client
openssl            | openssl                   | TLS client
postfix            | postfix                   | SMTP server
redis-server       | redis-server              | Redis
slapd              | slapd                     | LDAP server
swaks              | swaks                     | SMTP client'
readonly PROXY_PACKAGES='
dovecot-imapd      | /usr/lib/dovecot/imap     | IMAP proxy
dovecot-pop3d      | /usr/lib/dovecot/pop3     | POP3 proxy
dovecot-submissiond | /usr/lib/dovecot/submission-login | submission proxy
haproxy            | haproxy                   | TCP proxy
libnginx-mod-mail  | /usr/lib/nginx/modules/ngx_mail_module.so | mail proxy of nginx
libssl-dev         | /usr/include/openssl/ssl.h | OpenSSL headers
nginx-light        | nginx                     | nginx itself
strace             | strace                    | counter of system calls
stunnel4           | stunnel4                  | TLS wrapper'
readonly METER_PACKAGES='
valgrind           | valgrind                  | counter of instructions'
readonly SERVICES='dovecot freeradius haproxy nginx postfix redis-server slapd stunnel4'

step() { printf '==> %s\n' "$*"; }

quietly() { # runs a command; its output is shown only when it fails
    local output status=0
    output=$(mktemp)
    "$@" >"$output" 2>&1 </dev/null || status=$?
    if ((status)); then
        printf 'failed: %s\n' "$*" >&2
        cat "$output" >&2
    fi
    rm -f "$output"
    return "$status"
}

is_there() { # a path, a Perl module, or the name of a program
    case $1 in
        /*) [[ -e $1 ]] ;;
        perl:*) perl -M"${1#perl:}" -e 1 2>/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing() { # lines of a package table, reduced to those whose sign is not there
    local package sign what
    while IFS='|' read -r package sign what; do
        [[ -z $package ]] || is_there "${sign// /}" || printf '%s|%s\n' "${package// /}" "${what# }"
    done <<<"$1"
}

find_python() { # the first interpreter that can make a virtual environment and compile against its headers
    local candidate
    for candidate in "$VENV/bin/python" python3 python3.11 python3.12 python3.13 python3.14 /usr/bin/python3; do
        if "$candidate" - <<'CHECK' 2>/dev/null; then
import ensurepip, os, sys, sysconfig, venv
if sys.prefix != sys.base_prefix:
    import pip  # not there: a virtual environment left half made
sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
CHECK
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

install_packages() { # names of Debian packages
    step "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update -qq
    if [[ " $* " == *' postfix '* ]]; then
        debconf-set-selections <<<'postfix postfix/main_mailer_type select No configuration'
    fi
    local policy=/usr/sbin/policy-rc.d ours=''
    if [[ ! -e $policy ]]; then # Debian's own way to install a server without starting it
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        ours=yes
    fi
    local status=0
    quietly apt-get install -y --no-install-recommends "$@" || status=$?
    [[ -z $ours ]] || rm -f "$policy"
    disable_services "$@"
    return "$status"
}

disable_services() { # of these packages, so that they do not start at the next boot either
    local service
    command -v systemctl >/dev/null || return 0
    for service in $SERVICES; do
        if [[ " $*" == *" $service"* ]]; then
            systemctl disable --quiet "$service" 2>/dev/null || true
        fi
    done
}

provide() { # the packages of a table: installs what is missing, or says what to type and stops
    local lacking names=() package what
    lacking=$(missing "$1" | awk -F'|' '!seen[$1]++') # a package may stand in two tables
    [[ -n $lacking ]] || return 0
    while IFS='|' read -r package what; do names+=("$package"); done <<<"$lacking"
    if ((EUID == 0)) && command -v apt-get >/dev/null; then
        install_packages "${names[@]}"
        return
    fi
    {
        echo 'These system packages are missing, and only root can install them:'
        while IFS='|' read -r package what; do printf '  %-19s %s\n' "$package" "$what"; done <<<"$lacking"
        echo "Type this (the names are Debian's), then try again:"
        echo "  sudo apt-get install --no-install-recommends ${names[*]}"
    } >&2
    return 1
}

requirements() { # what pyproject.toml asks for, one requirement a line; arguments: build, run, or the name of an extra
    "$VENV/bin/python" - "$@" <<'READ'
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    tables = tomllib.load(file)
extras = tables["project"]["optional-dependencies"]
groups = {"build": tables["build-system"]["requires"], "run": tables["project"]["dependencies"]} | extras
print(*(requirement for name in sys.argv[1:] for requirement in groups[name]), sep="\n")
READ
}

pip_install() {
    quietly "$VENV/bin/python" -m pip install --disable-pip-version-check "$@"
}

pip_install_groups() {
    local wanted
    mapfile -t wanted < <(requirements "$@")
    pip_install "${wanted[@]}"
}

packages_to_run() {
    printf '%s' "$RUN_PACKAGES"
    find_python >/dev/null || printf '%s' "$PYTHON_PACKAGES"
}

set_up_run() {
    local python
    provide "$(packages_to_run)"
    python=$(find_python) || { echo 'No Python 3.11 or later with venv and Python.h was found.' >&2; return 1; }
    if [[ $python != "$VENV/bin/python" ]]; then
        step "virtual environment in $VENV, with $("$python" --version)"
        rm -rf "$VENV"
        quietly "$python" -m venv "$VENV"
    fi
    step 'Python packages (the first time this takes a minute)'
    pip_install_groups build run
    step 'the gateway itself'
    pip_install --no-deps --no-build-isolation --editable .
}

set_up_dev() {
    step 'Python packages for tests and checks'
    pip_install_groups test check
}

set_up_servers() {
    if [[ ${SKIP_SERVERS:-} == 1 ]]; then
        step 'SKIP_SERVERS=1: the tests of a server program that is not installed will be skipped'
        return
    fi
    provide "$(packages_to_run)$SERVER_PACKAGES$PROXY_PACKAGES" # all in one list, so that one command is enough
}

set_up_perf() {
    provide "$PROXY_PACKAGES$METER_PACKAGES"
}

case ${1:-} in
    run | dev | servers | perf) "set_up_$1" ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
