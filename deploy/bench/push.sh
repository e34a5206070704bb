#!/bin/sh
# What a push costs: durable acknowledged events a second over the push websocket of a node on PostgreSQL, beside a bare pgx loop
# that upserts the same rows in batches of the same size over as many connections, in turn on the same server; push to ack at half
# that rate; push to what the next call would show; the memory of an idle connection.
#
#	push.sh [--runs N] [--seconds S] [--quick]      N rounds (5) of S seconds (6); --quick: a minute in all
#
# Ends with "ratio N.NN", our rate over the bare loop's with an upsert for each row. Exit 0 if the run was sound: every event was
# stored, and the database has what was acknowledged last. The server is the script's own, with fsync, in a temporary folder;
# all traffic is on 127.77.0.0/16. A full run takes about three minutes.
set -u
cd "$(dirname "$0")"
runs=5 seconds=6 accounts=100000 idle=5000
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=${2:?--runs needs a number} && shift ;;
	--seconds) seconds=${2:?--seconds needs a number} && shift ;;
	--quick) runs=1 seconds=3 accounts=100000 idle=500 ;;
	*) sed -n '2,6s/^#[\t ]*//p' "${0##*/}"; exit 2 ;;
	esac
	shift
done
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
missing=
[ -n "$bin" ] || missing=postgresql
command -v curl >/dev/null || missing="$missing curl"
sh ../install.sh $missing || exit 1
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
ulimit -n 20000 2>/dev/null || { echo "5000 connections need open files: raise the hard limit (ulimit -Hn) to 20000"; exit 1; }
work=$(mktemp -d)
server='' node=''
cleanup() {
	[ -z "$node" ] || { kill "$node" 2>/dev/null && wait "$node" 2>/dev/null; }
	[ -z "$server" ] || { kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null; }
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
go build -o "$work/push" ./push && (cd ../.. && go build -o "$work/callsign" ./cmd/callsign) || exit 1
as= # PostgreSQL refuses to run as root
if [ "$(id -u)" = 0 ]; then
	mkdir "$work/db"
	chmod 711 "$work"
	chown postgres "$work/db"
	as='setpriv --reuid=postgres --regid=postgres --clear-groups'
fi
mkdir -p "$work/db"
host=127.77.0.11 api=127.77.0.12:18080
(cd "$work/db" && $as "$bin/initdb" -D data -U callsign -A trust -E UTF8 --locale=C >"$work/initdb.log" 2>&1) || { cat "$work/initdb.log"; exit 1; }
(cd "$work/db" && exec $as "$bin/postgres" -D data -h $host -p 15432 -c unix_socket_directories= -c shared_buffers=512MB \
	-c max_wal_size=4GB) >"$work/postgres.log" 2>&1 &
server=$!
wait_for() { # what, command…: ten seconds at the most
	what=$1 tenths=100
	shift
	until "$@" >/dev/null 2>&1; do
		tenths=$((tenths - 1))
		[ $tenths -gt 0 ] || { echo "$what did not come up"; cat "$work"/*.log; exit 1; }
		sleep 0.1
	done
}
wait_for PostgreSQL "$bin/psql" -h $host -p 15432 -U callsign -d postgres -qc 'CREATE DATABASE bench'
url="postgres://callsign@$host:15432/bench"
cat >"$work/callsign.yaml" <<END
sip: { listen: ["udp://127.77.0.12:5060"] }
show: { caller_ranges: ["+86138"] }
store: { url: "$url" }
http: { listen: "$api", max_batch: 500, max_bytes: 1048576, credit: 4000 }
state: { dir: "$work" }
END
"$work/callsign" serve -c "$work/callsign.yaml" >"$work/callsign.log" 2>&1 &
node=$!
wait_for callsign grep -q 'database is open' "$work/callsign.log"
key=$("$work/callsign" key create --role admin -c "$work/callsign.yaml") || exit 1
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $("$bin/postgres" --version), $(go version | cut -d' ' -f3)"
"$work/push" -server "http://$api" -key "$key" -url "$url" -pid $node -rounds "$runs" -seconds "$seconds" -accounts "$accounts" -idle "$idle"
