#!/bin/sh
# Whether a node that runs for long takes no more of the machine than one that has just started: a node on PostgreSQL (fsync on) and
# Redis takes 100 calls a second, of which every second is shown a text, while an IM system pushes 100 events a second and
# another one is read.
#
#	soak.sh [MINUTES] [--out DIRECTORY]      for 60 minutes; soak.csv and soak.svg are written to the directory (.)
#
# Every ten seconds resident memory, goroutines, open files and failed calls are noted. Ends with "failed N". Exit 0 if no call
# failed, no event was dropped, every acknowledged push is what a call would show, and the node is flat: the median of memory,
# goroutines and files in the last quarter is at most a tenth above that of the second quarter (or ten goroutines or files, which
# pools of connections may have). All traffic is on 127.76.0.0/16.
set -u
out=$PWD minutes=60
while [ $# -gt 0 ]; do
	case $1 in
	--out) out=$(cd "${2:?--out needs a directory}" && pwd) || exit 2; shift ;;
	[1-9] | [1-9][0-9] | [1-9][0-9][0-9]) minutes=$1 ;;
	*) sed -n '2,6s/^#[\t ]*//p' "$0"; exit 2 ;;
	esac
	shift
done
cd "$(dirname "$0")"
silent=10000 texts=5000 rate=100
missing=
for pair in redis-server:redis-server redis-cli:redis-tools curl:curl; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
ls -d /usr/lib/postgresql/*/bin >/dev/null 2>&1 || missing="$missing postgresql"
sh ../install.sh $missing || exit 1
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
work=$(mktemp -d)
servers='' database='' soak=''
cleanup() {
	[ -z "$soak" ] || { kill "$soak" 2>/dev/null && wait "$soak" 2>/dev/null; }
	for pid in $servers; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
	[ -z "$database" ] || { kill -INT "$database" 2>/dev/null && wait "$database" 2>/dev/null; }
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
go build -o "$work/" ./calls ./soak && (cd ../.. && go build -o "$work/callsign" ./cmd/callsign) || exit 1
as= # PostgreSQL refuses to run as root
mkdir "$work/db"
if [ "$(id -u)" = 0 ]; then
	chmod 711 "$work"
	chown postgres "$work/db"
	as='setpriv --reuid=postgres --regid=postgres --clear-groups'
fi
(cd "$work/db" && $as "$bin/initdb" -D data -U callsign -A trust -E UTF8 --locale=C >"$work/initdb.log" 2>&1) || { cat "$work/initdb.log"; exit 1; }
(cd "$work/db" && exec $as "$bin/postgres" -D data -h 127.76.0.11 -p 15432 -c unix_socket_directories=) >"$work/postgres.log" 2>&1 &
database=$!
redis-server --bind 127.76.0.9 --port 16379 --save '' --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
servers=$!
"$work/callsign" smsc --listen 127.76.0.8:12775 --http 127.76.0.8:18775 >/dev/null 2>"$work/smsc.log" &
servers="$servers $!"
"$work/soak" -im 127.76.0.7:18081 >"$work/im.log" 2>&1 &
servers="$servers $!"
wait_for() { # what, command…: twenty seconds at the most
	what=$1 tenths=200
	shift
	until "$@" >/dev/null 2>&1; do
		tenths=$((tenths - 1))
		[ $tenths -gt 0 ] || { echo "$what did not come up"; cat "$work"/*.log; exit 1; }
		sleep 0.1
	done
}
wait_for PostgreSQL "$bin/psql" -h 127.76.0.11 -p 15432 -U callsign -d postgres -qc 'CREATE DATABASE soak'
wait_for Redis redis-cli -h 127.76.0.9 -p 16379 ping
cat >"$work/callsign.yaml" <<END
sip: { listen: ["udp://127.76.0.2:5060"] }
show: { caller_ranges: ["+86138"], per_caller_per_hour: 1000 }
smpp: { links: [ { name: a, address: "127.76.0.8:12775", system_id: soak, password: soak, channel: flash, window: 100 } ] }
store: { url: "postgres://callsign@127.76.0.11:15432/soak" }
cache: { url: "redis://127.76.0.9:16379" }
http: { listen: "127.76.0.2:18080" }
sync:
  providers:
    - { network: read, connector: httpjson, url: "http://127.76.0.7:18081/users/{account}", text: /text, version: /version, per_second: 100, interval: 2m }
state: { dir: "$work" }
END
"$work/callsign" serve -c "$work/callsign.yaml" >"$work/callsign.log" 2>&1 &
servers="$servers $!"
export CALLSIGN_SERVER=http://127.76.0.2:18080
wait_for callsign curl -sf $CALLSIGN_SERVER/readyz
CALLSIGN_KEY=$("$work/callsign" key create --role admin -c "$work/callsign.yaml") || exit 1
export CALLSIGN_KEY
source=$("$work/callsign" key create --role source --network pushed) || exit 1
awk -v silent=$silent -v texts=$texts 'BEGIN {
	print "msisdn,network,account"
	for (i = 0; i < silent; i++) printf "+86139%08d,,\n", i
	for (i = 0; i < texts; i++) printf "+86139%08d,%s,user%d\n", silent + i, i % 2 ? "read" : "pushed", i
}' >"$work/people.csv"
"$work/callsign" subscriber import "$work/people.csv" >"$work/import.log" 2>&1 || { cat "$work/import.log"; exit 1; }
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $("$bin/postgres" --version), $(go version | cut -d' ' -f3), $rate calls/s for $minutes minutes"
"$work/soak" -server $CALLSIGN_SERVER -admin "$CALLSIGN_KEY" -key "$source" -silent $silent -texts $texts \
	-csv "$out/soak.csv" -plot "$out/soak.svg" "$work/calls" -caller 127.76.0.1:6060 -callee 127.76.0.3:6060 -proxy 127.76.0.2:5060 \
	-rate $rate -calls $((rate * 60 * minutes)) -silent $silent -texts $texts -text-every 2 -answer-after 400ms -every 10s &
soak=$!
wait $soak
code=$?
soak=
grep -c -e level=ERROR -e level=WARN "$work/callsign.log" | sed 's/^/lines of the log that warn: /'
[ $code = 0 ] || grep -e level=ERROR -e level=WARN "$work/callsign.log" | tail -20
exit $code
