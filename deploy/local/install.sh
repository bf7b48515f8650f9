#!/bin/sh
# Installs what a run on this machine needs and is missing; does nothing the second time.
#   deploy/local/install.sh run|test
# Python packages go into .venv, pinned and hashed; RabbitMQ (and Chromium, for the tests) come from
# the distribution. Standard output stays quiet unless something is installed.
set -eu
cd "$(dirname "$0")/../.."
goal=${1:?run or test}
python=${PYTHON:-python3}

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
  # Playwright's driver is linked to it.
  needs "$("$python" -c 'import ctypes; ctypes.CDLL("libatomic.so.1")' 2>/dev/null && echo yes)" libatomic1
fi
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null || fail "Please install:$missing (this machine has no apt-get)."
  say "Installing$missing"
  log=$(mktemp)
  # The package would start a broker on the standard ports; ours is private.
  quiet=/usr/sbin/policy-rc.d
  [ -e $quiet ] || { printf '#!/bin/sh\nexit 101\n' | as_root tee $quiet >/dev/null; as_root chmod +x $quiet; made=1; }
  # shellcheck disable=SC2086  # a list of names
  { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 || failed=1
  [ -z "${made:-}" ] || as_root rm -f $quiet
  [ -z "${failed:-}" ] || { tail -n 5 "$log" >&2; fail "Could not install$missing; run as root: apt-get install$missing"; }
  rm -f "$log"
fi

# --- Python packages ------------------------------------------------------------------------------
stamp=.venv/installed-$goal
if [ ! -e "$stamp" ] || [ requirements.lock -nt "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
  [ -x .venv/bin/python ] || { say "Making .venv"; "$python" -m venv .venv; }
  say "Installing Python packages"
  # uv reads the lock as constraints with hashes, so that one lock serves every choice of extras.
  sed -n '/^uv==/,/[^\\]$/p' requirements.lock >.venv/uv.txt
  .venv/bin/pip install --quiet --require-hashes --requirement .venv/uv.txt
  extras=web,ticket_svc,analytics_svc,classifier_svc,trainer,migrate,local
  command -v npm >/dev/null || extras=$extras,node
  .venv/bin/python deploy/requirements.py "$extras" "$goal" >.venv/wanted.txt
  .venv/bin/uv pip install --quiet --native-tls --python .venv/bin/python \
    --constraint requirements.lock --requirement .venv/wanted.txt
  touch "$stamp"
fi

# --- Browser files --------------------------------------------------------------------------------
stamp=node_modules/installed-$goal
if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  say "Installing htmx"
  if [ "$goal" = run ]; then only=--omit=dev; else only=; fi
  PATH=$PATH:$PWD/.venv/bin npm ci --silent --no-audit --no-fund $only >&2
  touch "$stamp"
fi
