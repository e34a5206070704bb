#!/bin/sh
# What a fault costs the calls that are under way: SIPp places 20,000 calls at 500 a second, each from a number of its own to one
# of 1000 callees with a text, rings 400 ms, and meanwhile:
#
#	none      nothing happens: what the others are compared with
#	kill      the node is killed with kill -9 and started again, every five seconds
#	store     for three seconds in ten another process holds every lock of the SQLite database: no read, no commit
#	smsc      for three seconds in ten the SMSC stands still (SIGSTOP)
#	queue     for three seconds in ten 20,000 INVITEs a second to nobody come on top, to a node that is built with room for 64 events in
#	          each queue instead of 4096: they are full, and pour over
#	flood     for a second in ten INVITEs to nobody come as fast as they can be sent, until the kernel drops most of what is received
#	abuse     for three seconds in ten the API is abused in every way at once: 3000 wrong keys a second, connections that never end
#	          their headers or frames, frames that announce a gigabyte or unfold to 20 MB, bad events, replays
#	kamailio  Kamailio's stateful proxy (tm) stands in the node's place, under the same kills; the callee takes every INVITE of a call
#	          that comes again for the same one, as Kamailio sends it under another branch once it was restarted
#	tcp       the kills again, over TCP: what was on a connection is lost, and nothing sends it again
#
# harm.sh runs all of them, harm.sh FAULT… those (none is run first all the same). With RULES=20 each callee's text is shown by a policy of
# twenty rules. A line of the table for each: the fewest set-ups
# under way at a fault, INVITEs that SIPp sent again, the calls away from any fault (two seconds before it begins, two after it
# ended) and how many of them in a hundred had their text receipted, INVITE to 180 in milliseconds, what its p99 has more than with
# no fault, and the texts that came twice; then how soon texts were on handsets. Ends with "failed N", the calls
# lost through callsign over UDP. Exit 0 if the run was sound: SIPp kept its rate, at least 100 set-ups were under way at each
# fault, and each fault took effect. All traffic is on 127.79.0.0/16; all of it takes about seven minutes.
set -u
cd "$(dirname "$0")"
n=${CALLS:-20000} rate=500 callees=1000 seconds=$((${CALLS:-20000} / 500))
faults=${*:-kill store smsc queue flood abuse kamailio tcp}
for fault in $faults; do
	case $fault in
	none | kill | store | smsc | queue | flood | abuse | kamailio | tcp) ;;
	*) sed -n '2,/^set/s/^#[\t ]\{0,1\}//p' "${0##*/}"; exit 2 ;;
	esac
done
missing=
for pair in sipp:sip-tester curl:curl setsid:util-linux; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
case $faults in *kamailio*) command -v kamailio >/dev/null || missing="$missing kamailio" ;; esac
sh ../install.sh $missing || exit 1

work=$(mktemp -d)
simulator='' phones='' scheduler=''
cleanup() {
	[ -z "$simulator" ] || kill -CONT $simulator 2>/dev/null
	for pid in $scheduler $phones $simulator; do kill "$pid" 2>/dev/null; done
	[ ! -s "$work/node.pid" ] || kill -9 "$(cat "$work/node.pid")" 2>/dev/null
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
(cd ../.. && go build -o "$work/callsign" ./cmd/callsign) && (cd harm && go build -o "$work/harm" .) || exit 1

small() { # the same node with room for 64 events in each queue
	sed 's/queue = 4096/queue = 64/' ../../sipas/relay/relay.go >"$work/relay.go"
	! cmp -s "$work/relay.go" ../../sipas/relay/relay.go || { echo "the size of the queues is not where it was in sipas/relay/relay.go: mend this script"; exit 1; }
	printf '{"Replace":{"%s":"%s"}}' "$(cd ../../sipas/relay && pwd)/relay.go" "$work/relay.go" >"$work/overlay.json"
	(cd ../.. && go build -overlay "$work/overlay.json" -o "$work/callsign-small" ./cmd/callsign) || exit 1
}
case $faults in *queue*) small ;; esac
binary=callsign

as=127.79.0.1:5060 caller=127.79.0.2 callee=127.79.0.3 http=127.79.0.1:18080
next="$callee:5060"
export CALLSIGN_SERVER=http://$http
cat >"$work/callsign.yaml" <<END
sip: { listen: ["udp://$as", "tcp://$as"] }
show: { caller_ranges: ["+86138"], per_second: 0 }
smpp: { links: [ { name: a, address: "127.79.0.8:2775", system_id: bench, password: bench, channel: flash, window: 100 } ] }
store: { url: "sqlite://$work/state/callsign.db" }
http: { listen: "$http" }
state: { dir: "$work/state" }
END

# start starts the proxy in a process group of its own, so that kill -9 takes all of it; node.pid is -PID.
start() { # callsign or kamailio
	if [ "$1" = kamailio ]; then
		setsid kamailio -DD -E -m 256 -A "LISTEN=udp:$as" -f "$PWD/harm/kamailio.cfg" >>"$work/node.log" 2>&1 &
	else
		setsid "$work/$binary" serve -c "$work/callsign.yaml" >>"$work/node.log" 2>&1 &
	fi
	echo "-$!" >"$work/node.pid"
}
kill_node() {
	kill -9 "$(cat "$work/node.pid")" || echo "there was nothing to kill" >>"$work/doubts"
	: >"$work/node.pid"
}
wait_for() { # what, command…: ten seconds at the most
	what=$1 tries=100
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "$what did not come up"; tail -20 "$work"/*.log; exit 1; }
		sleep 0.1
	done
}
bound() { awk '{ print $2 }' /proc/net/udp | grep -qi "$1"; } # address as the kernel writes it
now() { date +%s.%N; }
metric() { curl -sf -m 2 "$CALLSIGN_SERVER/metrics" | awk -v name="$1" '$1 == name { printf "%d\n", $2 }'; }

bound 01004F7F:13C4 && { echo "something listens on $as: end it and run this again"; exit 1; }
echo "putting $callees callees"
mkdir "$work/state" && : >"$work/node.log"
start callsign
wait_for callsign curl -sf "$CALLSIGN_SERVER/healthz"
CALLSIGN_KEY=$("$work/callsign" key create --role admin -c "$work/callsign.yaml") || exit 1
export CALLSIGN_KEY
"$work/harm" subscribers $callees 'On the road' "${RULES:-0}" || exit 1
kill "$(cut -c2- "$work/node.pid")"
wait "$(cut -c2- "$work/node.pid")"
: >"$work/node.pid"
mv "$work/state" "$work/full"
"$work/harm" calls "$n" $callees >"$work/calls.csv"

# ask reads the first callee from the store, and change sets their text: each within a second.
ask() { curl -sf -m 1 -H "Authorization: Bearer $CALLSIGN_KEY" -H 'Content-Type: application/json' "$@" -o "$work/asked"; }
read_store() { ask "$CALLSIGN_SERVER/v1/subscribers/+8613900000000"; }
change_store() { ask -X PUT -d '{"text":"On the road"}' "$CALLSIGN_SERVER/v1/subscribers/+8613900000000/signature"; }

# faulty makes the faults of a run and notes when each began and ended.
faulty() { # fault, first at, every, lasts
	at=$2
	while [ "$at" -lt $((seconds - 3)) ]; do
		pause=$((at + began - $(date +%s)))
		[ $pause -le 0 ] || sleep $pause
		begin=$(now) end=
		case $1 in
		kill | tcp) kill_node && start callsign ;;
		kamailio) kill_node && start kamailio ;;
		store)
			{ read_store && change_store; } || echo "the store did not work before it was locked" >>"$work/doubts"
			begin=$(now)
			"$work/harm" lock "$work/state/callsign.db" "$4" &
			locking=$!
			sleep 0.5
			change_store && echo "the store took a text while it was locked" >>"$work/doubts"
			read_store && echo "the store could be read while it was locked" >>"$work/doubts"
			wait $locking || echo "the store could not be locked" >>"$work/doubts"
			end=$(now)
			;;
		smsc)
			kill -STOP "$simulator"
			sleep "$4"
			kill -CONT "$simulator"
			end=$(now)
			;;
		abuse)
			"$work/harm" abuse "$4" >>"$work/abuse" 2>&1 || echo "the abuse: $(tail -1 "$work/abuse")" >>"$work/doubts"
			end=$(now)
			;;
		queue | flood)
			pace=20000
			[ "$1" = queue ] || pace=0
			"$work/harm" flood $as 127.79.0.9:5060 "$4" $pace >>"$work/flood"
			end=$(now)
			;;
		esac
		echo "$begin ${end:-$begin}" >>"$work/faults"
		at=$((at + $3))
	done
}

doubt() {
	echo "UNSOUND: $*"
	: >"$work/unsound"
}
value() { # name: of $line, which is name=value…
	for word in $line; do
		case $word in "$1="*) echo "${word#*=}" ;; esac
	done
}
row() { printf '%-9s %6s %6s %7s %6s %6s %6s %8s %7s %7s %7s %7s %6s %6s\n' "$@"; }
failed_udp=0 base= soon=
run() { # fault
	binary=callsign
	[ "$1" != queue ] || binary=callsign-small
	fault=$1 proxy=callsign
	[ "$fault" != kamailio ] || proxy=kamailio
	rm -rf "$work/state" "$work"/faults "$work"/flood "$work"/abuse "$work"/doubts "$work"/*.errors
	: >"$work/faults"
	cp -r "$work/full" "$work/state"
	"$work/callsign" smsc --lines --listen 127.79.0.8:2775 --http 127.79.0.8:18775 >"$work/texts" &
	simulator=$!
	start $proxy
	wait_for $proxy bound 01004F7F:13C4
	[ $proxy = kamailio ] || wait_for 'a ready callsign' curl -sf "$CALLSIGN_SERVER/readyz"
	if [ "$fault" = tcp ]; then
		"$work/harm" tcp $as $caller:5060 $next "$n" $callees $rate "$work/messages" >"$work/uac.log" 2>&1 &
		calling=$!
		phones=$calling
	else
		common="-m $n -nostdin -trace_err -timeout $((seconds + 60)) -buff_size 8388608 -max_recv_loops 2000 -timer_resol 1"
		sipp -sf harm/uas.xml -i $callee -p 5060 $common -error_file "$work/uas.errors" -key peer_host $caller -key peer_port 5060 >"$work/uas.log" 2>&1 &
		phones=$!
		wait_for 'the callee' bound 03004F7F:13C4
		sipp -sf harm/uac.xml $as -i $caller -p 5060 -r $rate -l 60000 $common -inf "$work/calls.csv" -cid_str 'harm-%u-%p@%s' \
			-error_file "$work/uac.errors" -trace_shortmsg -shortmessage_file "$work/messages" \
			-key as "<sip:as@$as;lr>" -key next "<sip:odi@$next;lr>" -key next_host $callee -key next_port 5060 >"$work/uac.log" 2>&1 &
		calling=$!
		phones="$phones $calling"
	fi
	began=$(date +%s)
	case $fault in
	none) scheduler= ;;
	kill | kamailio | tcp) faulty "$fault" 5 5 0 & scheduler=$! ;;
	flood) faulty flood 6 10 1 & scheduler=$! ;;
	*) faulty "$fault" 6 10 3 & scheduler=$! ;;
	esac
	wait $calling || [ "$fault" != tcp ] || doubt "tcp: $(cat "$work/uac.log")"
	[ -z "$scheduler" ] || wait $scheduler
	scheduler=
	sleep 1 # the last receipts
	good=$(awk -F'|' '$1 ~ /Successful call/ { n = $3 } END { print n + 0 }' "$work/uac.log")
	failed=$((n - good))
	if [ $failed -gt 0 ] && [ "$fault" != tcp ]; then
		sed -n "s/.*\(while [^,]*, received '[^\r]*\).*/\1/p; s/.*\(Aborting call on UDP retransmission timeout\).*/\1/p" "$work/uac.errors" "$work/uas.errors" |
			tr -d '\r' | sort | uniq -c | sort -rn | head -5
	fi
	if [ -s "$work/flood" ]; then
		dropped=$(metric callsign_sip_events_dropped_total)
		echo "the flood: $(tr '\n' ' ' <"$work/flood"), $dropped events dropped, $(metric callsign_sip_kernel_drops_total) datagrams dropped by the kernel"
		[ "$fault" = flood ] || [ "${dropped:-0}" -gt 0 ] || doubt "queue: no queue of events was ever full"
	fi
	[ ! -s "$work/abuse" ] || cat "$work/abuse"
	for pid in $phones $simulator; do kill "$pid" 2>/dev/null; done
	kill_node
	wait
	phones='' simulator=''
	line=$("$work/harm" tell "$n" "$work/messages" "$work/texts" "$work/faults") || { doubt "$fault: nothing could be told"; return; }
	[ ! -s "$work/doubts" ] || doubt "$fault: $(cat "$work/doubts")"
	[ "$fault" = none ] || [ "$(value flying)" -ge 100 ] || doubt "$fault: only $(value flying) set-ups were under way at a fault"
	awk -v took="$(value placed)" -v wanted="$seconds" 'BEGIN { exit took > wanted + 2 }' || doubt "$fault: the calls were placed in $(value placed) s, not in $seconds"
	[ "$fault" != none ] || base=$(value p99)
	flying=$(value flying) share=$(value share) receipted=$(value receipted)
	[ "$fault" != none ] || flying=-
	[ "$fault" != kamailio ] || share=- receipted=-
	row "$fault" "$n" "$failed" "$(value faults)" "$flying" "$(value again)" "$receipted" "$(value outside)" "$share" \
		"$(value p50)" "$(value p99)" "$(value p999)" "$(awk -v a="$(value p99)" -v b="$base" 'BEGIN { printf "%+.1f", a - b }')" "$(value twice)"
	[ "$fault" != none ] || soon="180 to the handset, without faults: p50 $(value shown50) ms, p99 $(value shown99) ms, $(value soon) in a hundred within 150 ms"
	case $fault in kamailio | tcp) ;; *) failed_udp=$((failed_udp + failed)) ;; esac
}

row '' calls failed faults flying again texts away 'of them' p50 p99 p99.9 added twice
run none
for fault in $faults; do [ "$fault" = none ] || run "$fault"; done
echo "$soon"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $(sipp -v 2>&1 | sed -n 's/^ *\(SIPp v[0-9.]*\).*/\1/p')"
echo "failed $failed_udp"
[ ! -e "$work/unsound" ]
