#!/bin/sh
# Calls through the AS at an address, one for each line of the table in README.md, all at the same time.
# Ends with "N passed, N failed" within half a minute, and leaves nothing running.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
usage() {
	echo "usage: run.sh AS_ADDRESS:PORT [--caller +86138…] [--callee +86139…] [--local IP] [--port N] [--trunk N] [--logs DIR] [scenario…]"
	exit 2
}
as='' caller=+8613800000001 callee=+8613900000002 local=127.0.0.1 port=17000 trunk='' logs='' wanted=''
while [ $# -gt 0 ]; do
	case $1 in
	--caller | --callee | --local | --port | --trunk | --logs)
		[ $# -gt 1 ] || usage
		case $1 in
		--caller) caller=$2 ;;
		--callee) callee=$2 ;;
		--local) local=$2 ;;
		--port) port=$2 ;;
		--trunk) trunk=$2 ;;
		--logs) logs=$2 ;;
		esac
		shift
		;;
	-*) usage ;;
	*) if [ -z "$as" ]; then as=$1; else wanted="$wanted $1"; fi ;;
	esac
	shift
done
case $as in *:*) ;; *) usage ;; esac
command -v sipp >/dev/null || { echo "sipp is missing: apt-get install sip-tester"; exit 2; }

# host is an address as URIs write it.
control="-ci $local"
case $local in *:*) host="[$local]" control='' ;; *) host=$local ;; esac # SIPp takes commands over IPv4 only
as_host=${as%:*} as_port=${as##*:}
as_host=${as_host#[} as_host=${as_host%]}
own="<sip:as@$as;lr>"
crlf=$(printf '\r\n.') crlf=${crlf%.}
work=$(mktemp -d)
[ -n "$logs" ] || logs=$work/logs
mkdir -p "$logs"
players=
cleanup() {
	[ -z "$players" ] || kill $players 2>/dev/null
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# column N of a scenario's line in the table.
column() { awk -F' *[|] *' -v name="$1" -v n="$2" '$2 == name { print $(n + 1) }' "$here/README.md"; }

table=$(awk -F' *[|] *' '/^\| scenario/ { on = 1; getline; next } on && /^\|/ { print $2 }' "$here/README.md")
for name in $wanted; do
	[ -n "$(column "$name" 1)" ] || { echo "no scenario is called $name: README.md has $table" | tr '\n' ' '; exit 2; }
done

# listening waits until a UDP port is bound, five seconds at the most.
listening() {
	hex=$(printf ':%04X ' "$1")
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
		cat /proc/net/udp /proc/net/udp6 2>/dev/null | awk '{ print $2 " " }' | grep -q "$hex" && return 0
		sleep 0.2
	done
	return 1
}

# phone becomes SIPp for one call; it is started beside: who, file, port, arguments.
phone() {
	who=$1 file=$2 at=$3
	shift 3
	exec timeout -k 1 25 sipp -sf "$here/$file.xml" -i "$local" -p "$at" $control -cp "$((at + 4000))" -m 1 -nostdin -timeout 20 -timeout_error \
		-trace_msg -message_file "$logs/$name.$who" -trace_err -error_file "$work/$name.$who.errors" -key caller "$caller" "$@" >"$work/$name.$who.screen" 2>&1
}

# messages prints what a phone sent or received, each message without Via, Route and Max-Forwards.
messages() { # direction, log
	awk -v direction="$1" '
		/^----------------------------------------------- / { on = 0; next }
		/^(UDP|TCP|TLS) message (sent|received)/ { on = $3 == direction; head = 1; begun = 0; next }
		!on { next }
		!begun && /^\r?$/ { next }
		{ begun = 1 }
		head && /^\r?$/ { head = 0 }
		head && /^[ \t]/ { if (!gone) print; next }
		head { gone = tolower($0) ~ /^(via|v|route|max-forwards)[ \t]*:/ }
		!(head && gone)' "$2"
}

# invite prints the first INVITE that a phone sent or received, as it was.
invite() { # direction, log
	awk -v direction="$1" '
		/^----------------------------------------------- / { if (on) exit; next }
		/^(UDP|TCP|TLS) message (sent|received)/ { waiting = $3 == direction; next }
		waiting && /^INVITE / { on = 1 }
		waiting && !/^\r?$/ { waiting = 0 }
		on' "$2"
}

# expected makes of an INVITE that was sent the one that has to arrive: without what is cut out for the AS, with fewer hops.
expected() { # what is cut, times it passes the AS, what stands before the hops
	CUT=$1 HOPS=$3 awk -v times="$2" '
		function replace(what, by) {
			if (what != "" && (at = index(all, what))) all = substr(all, 1, at - 1) by substr(all, at + length(what))
		}
		{ all = all $0 "\n" }
		END {
			replace(ENVIRON["CUT"], "")
			replace(ENVIRON["HOPS"] "68", ENVIRON["HOPS"] (68 - times))
			printf "%s", all
		}'
}

# undone takes from an INVITE that arrived the Vias that the AS put on top, each with a branch of its own, and the Max-Forwards
# behind them if there was none.
undone() { # Vias, whether Max-Forwards was added
	awk -v vias="$1" -v added="$2" '
		vias > 0 && /^Via: SIP\/2\.0\/UDP [^ ]*;branch=z9hG4bK/ && !seen[$0]++ { vias--; next }
		added && /^Max-Forwards: 70\r$/ { added = 0; next }
		{ print }'
}

# branches tells of messages that came with one branch of the caller's and left the AS with two: CANCEL, ACK of a failure and
# retransmissions must have their INVITE's.
branches() { # the callee's log
	awk '
		/^(UDP|TCP|TLS) message received/ { top = "" ; below = ""; next }
		/^Via:/ && top == "" { top = $0; next }
		/^Via:/ && below == "" {
			below = $0
			if (below in left && left[below] != top) print "the AS left " left[below] " and then " top " on what is one transaction"
			left[below] = top
		}' "$1" | head -1 | tr -d '\r'
}

# play plays one scenario, and prints why it failed, if it did.
play() { # name, first port
	name=$1 before=$2 behind=$(($2 + 1))
	uac=$(column "$name" 2) uas=$(column "$name" 3)
	[ "$name" != trunk ] || behind=$trunk
	next="<sip:odi_k3@$host:$behind;lr>"
	cut="Route: $own$crlf" times=1 added=0 ring=300 hops='Max-Forwards: '
	route1=$own route2="Route: $next" uri="sip:$callee@ims.test;user=phone" to="<sip:$callee@ims.test;user=phone>"
	headers="${crlf}Route: $own${crlf}Route: $next${crlf}Max-Forwards: 68"
	case $name in
	joined-routes) route1="$own, $next" route2='X-None: 1' cut="$own, " ;;
	compact-folded) route2=$next cut="$own,$crlf  " hops="max-forwards :$crlf " ;;
	183-only) ring=7500 ;;
	retransmitted) ring=1800 ;;
	spiral) route1="$own, $own" cut="Route: $own, $own$crlf" times=2 ;;
	diverted) headers="$headers${crlf}Diversion: <sip:+8613900000077@ims.test>;reason=no-answer${crlf}History-Info: <sip:+8613900000077@ims.test>;index=1, <sip:$callee@ims.test;cause=408>;index=1.1" ;;
	emergency) uri=urn:service:sos to='<urn:service:sos>' headers="$headers${crlf}P-Served-User: <sip:$callee@ims.test>;sescase=term" ;;
	priority) headers="$headers${crlf}Resource-Priority: ets.0, wps.1" ;;
	replaces) headers="$headers${crlf}Replaces: 425928@phone.ims.test;to-tag=7743;from-tag=6472" ;;
	no-max-forwards) headers="${crlf}Route: $own${crlf}Route: $next" added=1 ;;
	trunk) headers="${crlf}Max-Forwards: 68" cut='' uri="sip:$callee@$as;user=phone" ;;
	esac
	called= calling=
	trap '[ -z "$called$calling" ] || kill $called $calling 2>/dev/null' EXIT
	trap 'exit 1' TERM
	# Where nobody is called a callee listens all the same: nothing may reach it.
	phone uas "${uas:-uas}" "$behind" -d "$ring" -key peer_host "$local" -key peer_port "$before" -key as_host "$as_host" -key as_port "$as_port" &
	called=$!
	listening "$behind" || { echo "the callee could not listen on $local:$behind: $(tail -1 "$work/$name.uas.screen")"; return; }
	phone uac "$uac" "$before" "$as" -s "$callee" -cid_str "$name-%u-%p@%s" -key as "$as" \
		-key route1 "$route1" -key route2 "$route2" -key headers "$headers" -key request_uri "$uri" -key to "$to" \
		-key digits1 "${callee%????}" -key digits2 "${callee%??}" -key next_host "$local" -key next_port "$behind" &
	calling=$!
	wait "$calling"
	ended=$?
	calling=
	[ "$ended" = 0 ] || { echo "the caller's call did not complete: $(why uac)"; return; }
	if [ -z "$uas" ]; then
		kill "$called"
		wait "$called" 2>/dev/null
		called=
		[ ! -s "$logs/$name.uas" ] || echo "something reached the callee: $(sed -n 4p "$logs/$name.uas")"
		return
	fi
	wait "$called"
	ended=$?
	called=
	[ "$ended" = 0 ] || { echo "the callee's call did not complete: $(why uas)"; return; }
	invite sent "$logs/$name.uac" | expected "$cut" "$times" "$hops" >"$work/$name.expected"
	invite received "$logs/$name.uas" | undone "$times" "$added" >"$work/$name.arrived"
	same "the INVITE did not arrive as it was sent" "$work/$name.expected" "$work/$name.arrived" || return
	for way in uac:uas uas:uac; do
		messages sent "$logs/$name.${way%:*}" >"$work/$name.sent"
		messages received "$logs/$name.${way#*:}" >"$work/$name.received"
		same "not all that ${way%:*} sent reached ${way#*:} as it was" "$work/$name.sent" "$work/$name.received" || return
	done
	branches "$logs/$name.uas"
	if [ "$name" = retransmitted ] && [ "$(grep -c '^INVITE ' "$logs/$name.uas")" -lt 2 ]; then
		echo "the INVITE was not sent twice"
	fi
}

same() { # what is wrong otherwise, wanted, got
	[ -s "$2" ] && cmp -s "$2" "$3" && return 0
	echo "$1: $(diff "$2" "$3" | sed -n '2,3p' | tr -d '\r' | tr '\n' ' ')"
	return 1
}

why() { # who
	reason=$(sed -n 's/.*\(while expecting.*\)/\1/p; s/.*\(Failed regexp.*\)/\1/p; s/.*\(Unable to .*\)/\1/p' "$work/$name.$1.errors" "$work/$name.$1.screen" 2>/dev/null | head -1 | tr -d '\r')
	last=$(grep -a '^SIP/2.0 ' "$logs/$name.$1" 2>/dev/null | tail -1 | tr -d '\r')
	echo "${reason:-nothing more came in 20 seconds; the last answer was ${last:-none}}"
}

# All are started, then told of in the table's order.
started=
for name in $table; do
	case " $wanted " in '  ') ;; *" $name "*) ;; *) continue ;; esac
	if [ "$name" = trunk ] && [ -z "$trunk" ]; then
		case $wanted in *trunk*) echo 'trunk needs --trunk PORT'; exit 2 ;; esac
		continue
	fi
	play "$name" "$port" >"$work/$name.reason" 2>&1 &
	players="$players $!"
	started="$started $name:$!"
	port=$((port + 2))
done
passed=0 failed=0
for pair in $started; do
	name=${pair%:*}
	wait "${pair##*:}"
	if [ -s "$work/$name.reason" ]; then
		failed=$((failed + 1))
		printf 'FAIL  %-18s %s: %s\n' "$name" "$(column "$name" 4)" "$(tr '\n' ' ' <"$work/$name.reason")"
	else
		passed=$((passed + 1))
		printf 'ok    %-18s %s\n' "$name" "$(column "$name" 4)"
	fi
done
players=
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
