#!/bin/sh
# Installs what a run on this machine needs and is missing; does nothing the second time.
#   deploy/local/install.sh run|test
# Python packages go into .venv, pinned and hashed; RabbitMQ (and browsers, proxies and a pooler, for
# the tests) come from the distribution. Standard output stays quiet unless something is installed.
set -eu
cd "$(dirname "$0")/../.."
goal=${1:?run or test}
python=${PYTHON:-python3}
# Servers are in these, and these are not on everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin
# What is installed is no secret, and what root starts reads it as another user.
umask 022

say() { printf '  %s\n' "$*" >&2; }
fail() { printf '\n%s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "Missing: $missing. Run as root: apt-get install $missing"
  fi
}

# --- What the distribution has to bring -----------------------------------------------------------
missing=
needs() { [ -n "$1" ] || missing="$missing $2"; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed."
needs "$("$python" -c 'import ensurepip' 2>/dev/null && echo yes)" python3-venv
needs "$(ls /usr/lib/rabbitmq/bin/rabbitmq-server 2>/dev/null)" rabbitmq-server
[ "$(id -u)" != 0 ] || needs "$(command -v setfacl || true)" acl
if [ "$goal" = test ]; then
  needs "$(command -v chromium || true)" chromium
  # Certificates for TLS.
  needs "$(command -v openssl || true)" openssl
  # Playwright's driver is linked to it.
  needs "$("$python" -c 'import ctypes; ctypes.CDLL("libatomic.so.1")' 2>/dev/null && echo yes)" libatomic1
fi

# Not every distribution has these (Ubuntu's Firefox is a snap), and what was not to be had is not
# looked for again.
optional=
unavailable=
not_to_be_had=.venv/not-to-be-had
if [ "$goal" = test ]; then
  for pair in firefox-esr:firefox-esr nginx:nginx-light haproxy:haproxy pgbouncer:pgbouncer; do
    package=${pair#*:}
    command -v "${pair%:*}" >/dev/null || grep -qsx "$package" $not_to_be_had || optional="$optional $package"
  done
fi
if [ -n "$optional" ] && ! { command -v apt-get && { [ "$(id -u)" = 0 ] || command -v sudo; }; } >/dev/null; then
  say "Not installed:$optional. The tests that need them are left out."
  optional=
fi

log=
quiet=/usr/sbin/policy-rc.d
made=
# The packages would start servers on the standard ports; ours are private.
hush() {
  # One that a killed run of this script left behind is taken away.
  owner=$(sed -n 's/^# campus-helpdesk //p' $quiet 2>/dev/null || true)
  [ -z "$owner" ] || [ -d "/proc/$owner" ] || as_root rm -f $quiet
  [ ! -e $quiet ] || return 0
  made=1
  printf '#!/bin/sh\n# campus-helpdesk %s\nexit 101\n' $$ | as_root tee $quiet >/dev/null
  as_root chmod 755 $quiet
}
unhush() { [ -z "$made" ] || as_root rm -f $quiet; made=; }
trap 'unhush; [ -z "$log" ] || rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

apt() {
  hush
  # sudo would forget the proxies.
  as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive ${http_proxy:+"http_proxy=$http_proxy"} \
    ${https_proxy:+"https_proxy=$https_proxy"} apt-get "$@" >"$log" 2>&1 && status=0 || status=$?
  unhush
  return $status
}
# apt's own option for this does not wait for those who update the lists.
patient_apt() {
  waited=0
  until apt "$@"; do
    lock=$(sed -n 's/^E: Could not get lock //p' "$log" | head -n 1)
    [ -n "$lock" ] && [ $waited -lt 600 ] || return 1
    [ $waited -gt 0 ] || say "Waiting, 10 minutes at most, for another program that installs packages: $lock"
    sleep 1
    waited=$((waited + 1))
  done
}

if [ -n "$missing$optional" ]; then
  command -v apt-get >/dev/null || fail "Please install:$missing (this machine has no apt-get)."
  log=$(mktemp)
  patient_apt update && updated=1 || updated=
  for package in $optional; do
    if LC_ALL=C apt-cache policy "$package" | grep -q 'Candidate: [^(]'; then continue; fi
    [ -z "$updated" ] || unavailable="$unavailable $package"
    optional=$(printf '%s ' $optional | sed "s/$package //")
  done
  if [ -n "$missing" ]; then
    say "Installing$missing"
    # shellcheck disable=SC2086  # a list of names
    patient_apt install -y --no-install-recommends $missing || {
      tail -n 5 "$log" >&2; fail "Could not install$missing; run as root: apt-get install$missing"; }
  fi
  for package in $optional; do
    say "Installing $package"
    patient_apt install -y --no-install-recommends "$package" \
      || { tail -n 1 "$log" >&2; say "Without $package. The tests that need it are left out."; }
  done
  [ -z "$unavailable" ] || say "Not in this distribution:$unavailable. The tests that need them are left out."
fi

# --- Python packages ------------------------------------------------------------------------------
stamp=.venv/installed-$goal
if [ ! -e "$stamp" ] || [ requirements.lock -nt "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
  [ -x .venv/bin/pip ] || { say "Making .venv"; "$python" -m venv .venv; }
  say "Installing Python packages"
  # uv reads the lock as constraints with hashes, so that one lock serves every choice of extras.
  sed -n '/^uv==/,/[^\\]$/p' requirements.lock >.venv/uv.txt
  failed="Could not install the Python packages: the lines above say why. Then run this again."
  .venv/bin/python -m pip install --quiet --require-hashes --requirement .venv/uv.txt || fail "$failed"
  extras=web,ticket_svc,analytics_svc,classifier_svc,trainer,migrate,local
  command -v npm >/dev/null || extras=$extras,node
  .venv/bin/python deploy/requirements.py "$extras" "$goal" >.venv/wanted.txt
  .venv/bin/uv pip install --quiet --native-tls --python .venv/bin/python \
    --constraint requirements.lock --requirement .venv/wanted.txt --compile-bytecode || fail "$failed"
  touch "$stamp"
fi
[ -z "$unavailable" ] || printf '%s\n' $unavailable >>$not_to_be_had

# --- Browser files --------------------------------------------------------------------------------
stamp=node_modules/installed-$goal
if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  say "Installing htmx"
  if [ "$goal" = run ]; then only=--omit=dev; else only=--include=dev; fi
  PATH=$PATH:$PWD/.venv/bin npm ci --silent --no-audit --no-fund $only >&2 \
    || fail "Could not install htmx with npm. Run this again with the network in reach."
  touch "$stamp"
fi
