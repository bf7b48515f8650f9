#!/bin/sh
# How the broker's container starts: with a cookie that nobody can guess, new each time. Erlang would
# draw one from the clock, and whoever has it may do anything in the broker, over the network that
# all containers of the helpdesk share.
set -eu
cookie=${RABBITMQ_DATA_DIR:-/var/lib/rabbitmq}/.erlang.cookie
rm -f "$cookie"
(umask 377 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$cookie")
chown rabbitmq "$cookie"
exec docker-entrypoint.sh "$@"
