#!/bin/sh
# What keeping costs: durable updates a second by the intake into PostgreSQL, beside a bare loop that upserts the same rows in
# batches of the same size over as many connections, in turn on the same server; look-ups, how soon another node is told, and
# an import beside bare COPY.
#
#	store.sh [--rounds N] [--seconds S] [--rows N,N…] [--import N] [--plot FILE]
#
# By default 5 rounds of 5 s, at 10000 and 1000000 subscribers, and an import of 1000000; --plot draws the rates as an SVG.
#
# Ends with "ratio N.NN", our rate over the bare loop's at the greatest number of subscribers. The server is the script's own, with
# fsync, in a temporary folder; all traffic is on 127.77.0.0/16.
set -u
cd "$(dirname "$0")"
rounds=5 seconds=5 rows=10000,1000000 import=1000000 plot=
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=${2:?--rounds needs a number} && shift ;;
	--seconds) seconds=${2:?--seconds needs a number} && shift ;;
	--rows) rows=${2:?--rows needs numbers} && shift ;;
	--import) import=${2:?--import needs a number} && shift ;;
	--plot) plot=${2:?--plot needs a file} && shift ;;
	*) sed -n '2,9s/^#[\t ]*//p' "${0##*/}"; exit 2 ;;
	esac
	shift
done
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
if [ -z "$bin" ]; then
	sh ../install.sh postgresql || exit 1
	bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
fi
work=$(mktemp -d)
server=''
cleanup() {
	[ -n "$server" ] && kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
go build -o "$work/" ./store || exit 1
as= # PostgreSQL refuses to run as root
if [ "$(id -u)" = 0 ]; then
	chown postgres "$work"
	as='setpriv --reuid=postgres --regid=postgres --clear-groups'
fi
host=127.77.0.10
(cd "$work" && $as "$bin/initdb" -D "$work/data" -U callsign -A trust -E UTF8 --locale=C >"$work/initdb.log" 2>&1) || { cat "$work/initdb.log"; exit 1; }
(cd "$work" && exec $as "$bin/postgres" -D "$work/data" -h $host -p 15432 -c unix_socket_directories= -c shared_buffers=512MB \
	-c max_wal_size=4GB) >"$work/postgres.log" 2>&1 &
server=$!
tenths=100
until "$bin/psql" -h $host -p 15432 -U callsign -d postgres -qc 'CREATE DATABASE bench' 2>/dev/null; do
	tenths=$((tenths - 1))
	[ $tenths -gt 0 ] || { echo 'PostgreSQL did not start'; cat "$work/postgres.log"; exit 1; }
	sleep 0.1
done
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $("$bin/postgres" --version), $(go version | cut -d' ' -f3)"
"$work/store" -url "postgres://callsign@$host:15432/bench" -rounds "$rounds" -seconds "$seconds" -rows "$rows" -import "$import" -plot "$plot"
