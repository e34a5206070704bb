#!/bin/sh
# Calls that fail when the node is killed: SIPp places 10,000 calls at 500 a second through callsign serve, whose every callee
# has a text; kill -9 and a restart every five seconds (with "none" as argument: no kill). Ends with "failed N", the calls lost.
# All traffic is on 127.0.0.1; the run is bounded to a minute.
set -eu
fault=${1:-kill}
cd "$(dirname "$0")/../.."
command -v sipp >/dev/null || { echo "sipp is missing: apt-get install sip-tester"; exit 1; }
work=$(mktemp -d)
pids=
cleanup() {
	[ -z "$pids" ] || kill $pids 2>/dev/null || true
	[ ! -f "$work/serve.pid" ] || kill "$(cat "$work/serve.pid")" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
go build -o "$work/callsign" ./cmd/callsign
cat >"$work/callsign.yaml" <<EOF
sip: { listen: ["udp://127.0.0.1:15060"] }
show: { caller_ranges: [any], per_caller_per_hour: 0, per_second: 0 }
smpp: { links: [ { name: a, address: "127.0.0.1:12775", system_id: x, password: y, channel: flash, window: 100 } ] }
store: { url: "sqlite://$work/callsign.db" }
http: { listen: "127.0.0.1:18080" }
state: { dir: "$work" }
EOF
"$work/callsign" smsc --listen 127.0.0.1:12775 --http 127.0.0.1:18775 >"$work/smsc.log" &
pids=$!
start() {
	"$work/callsign" serve -c "$work/callsign.yaml" >>"$work/serve.log" 2>&1 &
	echo $! >"$work/serve.pid"
}
start
sleep 2
CALLSIGN_SERVER=http://127.0.0.1:18080 CALLSIGN_KEY=$("$work/callsign" key create --role admin -c "$work/callsign.yaml")
export CALLSIGN_SERVER CALLSIGN_KEY
"$work/callsign" subscriber put +8613900000002 >/dev/null
"$work/callsign" signature put +8613900000002 "On the road" >/dev/null

sipp_common="-i 127.0.0.1 -m 10000 -nostdin -buff_size 8388608 -max_recv_loops 2000 -timer_resol 1 -timeout 60"
# shellcheck disable=SC2086
sipp -sf deploy/sipp/uas.xml -p 16070 -d 200 $sipp_common -key peer_host 127.0.0.1 -key peer_port 16060 >"$work/uas.log" 2>&1 &
pids="$pids $!"
sleep 1
# shellcheck disable=SC2086
sipp -sf deploy/sipp/uac.xml 127.0.0.1:15060 -p 16060 -s +8613900000002 -r 500 -l 30000 $sipp_common -key caller +8613800000001 \
	-key route1 "<sip:as@127.0.0.1:15060;lr>" -key route2 "Route: <sip:odi@127.0.0.1:16070;lr>" -key next_host 127.0.0.1 -key next_port 16070 \
	>"$work/uac.log" 2>&1 &
uac=$!
kills=0
if [ "$fault" = kill ]; then
	for _ in 1 2 3; do
		sleep 5
		kill -9 "$(cat "$work/serve.pid")"
		kills=$((kills + 1))
		start
	done
fi
wait "$uac" || true
sleep 1
count() { awk -F'|' -v what="$1" '$1 ~ what { n = $3 } END { print n + 0 }' "$work/uac.log"; }
printf 'kills %s, calls %s, texts on the handset %s\n' "$kills" "$(count 'Successful call')" "$(grep -c 'Flash SMS' "$work/smsc.log")"
awk '/INVITE ------/ { print "INVITEs retransmitted", $4 }' "$work/uac.log" | tail -1
echo "failed $((10000 - $(count 'Successful call')))"
