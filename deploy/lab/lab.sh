#!/bin/sh
# A small IMS core on this machine, to see Callsign in the path of real calls: an S-CSCF and an HSS (Debian's Kamailio), the
# application server, the SMSC simulator, and SIPp as phones. README.md says more.
#
#   lab.sh up [--unregistered]   start everything; the subscriber's phone registers, or does not (a GSM phone behind a gateway)
#   lab.sh call                  one call to the subscriber; prints what the caller's handset shows
#   lab.sh down                  stop everything
#   lab.sh render                only write the Kamailios' configurations to LAB_DIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
host=${LAB_HOST:-127.0.77.1}
dir=${LAB_DIR:-${TMPDIR:-/tmp}/callsign-lab}
domain=${LAB_DOMAIN:-ims.test}
subscriber=${LAB_SUBSCRIBER:-+8613900000002}
caller=${LAB_CALLER:-+8613800000001}
text=${LAB_TEXT:-On the road, back at six}
as=${LAB_AS:-$host:5060} # another application server than the lab's own
callsign=${LAB_CALLSIGN:-}
isc_timeout=${LAB_ISC_TIMEOUT:-5000}
scscf=$host:6060 contact_port=7070 gateway_port=7071

say() { echo "lab: $*"; }
fail() {
	say "$*" >&2
	exit 1
}

need() { # the programs this needs
	for pair in kamailio:kamailio sipp:sip-tester; do
		command -v "${pair%%:*}" >/dev/null || fail "${pair%%:*} is missing: apt-get install ${pair#*:}"
	done
	for pair in ims_isc:kamailio-ims-modules presence:kamailio-presence-modules; do
		ls /usr/lib/*/kamailio/modules/"${pair%%:*}.so" >/dev/null 2>&1 ||
			fail "Kamailio's module ${pair%%:*} is missing: apt-get install ${pair#*:}"
	done
}

find_callsign() { # LAB_CALLSIGN, else built from this repository
	[ -z "$callsign" ] || return 0
	callsign=$dir/callsign
	(cd "$here/../.." && go build -o "$callsign" ./cmd/callsign) ||
		fail 'callsign could not be built: give a binary with LAB_CALLSIGN=FILE'
}

render() { # the Kamailios' configurations, from the templates beside this script
	ifc=$("$callsign" ifc --server "sip:$as" | tr -d '\n')
	user_data=
	for f in userdata.xml hss.cfg hss.xml scscf.cfg scscf.xml; do
		sed -e "s|@USER_DATA@|$user_data|" -e "s|@IFC@|$ifc|" -e "s|@DIR@|$dir|g" -e "s|@HOST@|$host|g" -e "s|@DOMAIN@|$domain|g" \
			-e "s|@SUBSCRIBER@|$subscriber|g" -e "s|@GATEWAY@|$host:$gateway_port|" -e "s|@AS_HOST@|${as%:*}|" \
			-e "s|@AS_PORT@|${as##*:}|" -e "s|@ISC_TIMEOUT@|$isc_timeout|" "$here/$f" >"$dir/$f"
		[ "$f" != userdata.xml ] || user_data=$(tr -d '\n' <"$dir/$f")
	done
}

start() { # name, command…: in the background, with its log and pid in the lab's folder
	name=$1
	shift
	"$@" >"$dir/$name.log" 2>&1 &
	echo "$!" >"$dir/$name.pid"
}

until_ok() { # what, tries of a fifth of a second, command…
	what=$1 tries=$2
	shift 2
	while ! "$@" >"$dir/wait.log" 2>&1; do
		tries=$((tries - 1))
		if [ "$tries" = 0 ]; then
			cat "$dir/wait.log"
			fail "waited in vain for $what"
		fi
		sleep 0.2
	done
}

listens() { # UDP port: whether somebody has it on our address, as Linux tells in hexadecimal
	tell=$(IFS=. && set -- $host && printf '%02X%02X%02X%02X' "$4" "$3" "$2" "$1")
	grep -q ": $tell:$(printf '%04X' "$1") " /proc/net/udp
}

phone() { # scenario, port, more arguments of SIPp…
	scenario=$1 port=$2
	shift 2
	sipp -sf "$here/$scenario.xml" -i "$host" -p "$port" -m 1 -nostdin -s "$subscriber" -key domain "$domain" -timeout_error "$@"
}

up() {
	case ${1:-} in '' | --unregistered) ;; *) fail "lab.sh up knows no $1" ;; esac
	need
	mkdir "$dir" || fail "it is up already (lab.sh down), or choose another folder with LAB_DIR"
	trap 'tail -n 5 "$dir"/*.log && down' EXIT
	find_callsign
	render
	start hss kamailio -DD -E -m 32 -M 4 -Y "$dir" -w "$dir" -f "$dir/hss.cfg"
	if [ -z "${LAB_AS:-}" ]; then
		cat >"$dir/callsign.yaml" <<END
sip: { listen: ["udp://$as"] }
show: { caller_ranges: [any] }
smpp: { links: [ { name: lab, address: "$host:2775", system_id: lab, password: lab, channel: flash } ] }
store: { url: "sqlite://$dir/callsign.db" }
http: { listen: "$host:8080" }
state: { dir: "$dir" }
END
		start smsc "$callsign" smsc --listen "$host:2775" --http "$host:8775"
		start as "$callsign" serve -c "$dir/callsign.yaml"
	fi
	until_ok 'the HSS' 50 grep -q 'Successful socket open' "$dir/hss.log"
	start scscf kamailio -DD -E -m 32 -M 4 -Y "$dir" -w "$dir" -f "$dir/scscf.cfg"
	if [ -z "${LAB_AS:-}" ]; then
		export CALLSIGN_SERVER="http://$host:8080"
		until_ok 'the application server' 50 "$callsign" key create --role admin -c "$dir/callsign.yaml"
		CALLSIGN_KEY=$(cat "$dir/wait.log")
		export CALLSIGN_KEY
		until_ok 'the subscriber' 25 "$callsign" subscriber put "$subscriber"
		until_ok 'the text' 25 "$callsign" signature put "$subscriber" "$text"
	fi
	until_ok 'the S-CSCF to find its HSS' 20 phone options 7080 "$scscf" -timeout 1
	behind=$gateway_port
	if [ "${1:-}" != --unregistered ]; then
		phone register 7080 "$scscf" -timeout 10 -key contact_port "$contact_port" >"$dir/register.log" 2>&1 ||
			fail 'the registration failed'
		behind=$contact_port
	fi
	echo "$behind" >"$dir/callee.port"
	trap - EXIT
	say "up on $host, in $dir; the subscriber $subscriber $([ "$behind" = "$contact_port" ] && echo is || echo is not) registered"
	say "S-CSCF $scscf, application server $as$([ -n "${LAB_AS:-}" ] || echo ", its API http://$host:8080 with CALLSIGN_KEY=$CALLSIGN_KEY")"
}

call() {
	[ -e "$dir/callee.port" ] || fail 'it is not up: lab.sh up'
	shown=$([ ! -e "$dir/smsc.log" ] || wc -c <"$dir/smsc.log")
	phone callee "$(cat "$dir/callee.port")" -d 2000 -timeout 20 >"$dir/callee.log" 2>&1 &
	callee=$!
	until_ok 'the callee' 25 listens "$(cat "$dir/callee.port")"
	say "$caller calls $subscriber, who answers after two seconds"
	done=0
	phone caller 7090 "$scscf" -timeout 20 -key caller "$caller" -key dialled "$subscriber" -key also 'X-Lab: 1' >"$dir/caller.log" 2>&1 || done=1
	[ "$done" = 0 ] || kill "$callee" 2>/dev/null || true
	wait "$callee" || done=1
	[ "$done" = 0 ] || fail "the call did not complete: see $dir/caller.log, $dir/callee.log, $dir/scscf.log"
	grep 'ISC ' "$dir/scscf.log" | grep -v wire | tail -n 2
	say 'the call completed; while it rang, the handset showed:'
	if [ ! -e "$dir/smsc.log" ]; then
		say "what your application server at $as sent it: ask your SMSC"
	elif [ "$(wc -c <"$dir/smsc.log")" = "$shown" ]; then
		fail 'nothing'
	else
		tail -c +$((shown + 1)) "$dir/smsc.log"
	fi
}

down() {
	pids=$(cat "$dir"/*.pid 2>/dev/null || true)
	# shellcheck disable=SC2086 # one word each
	[ -z "$pids" ] || kill $pids 2>/dev/null || true
	tries=50
	for pid in $pids; do
		while kill -0 "$pid" 2>/dev/null && [ "$tries" -gt 0 ]; do
			tries=$((tries - 1))
			sleep 0.2
		done
		kill -9 "$pid" 2>/dev/null || true
	done
	[ ! -e "$dir/hss.pid" ] || rm -rf "$dir" # only a folder that up made
}

case ${1:-} in
up) shift && up "$@" ;;
call) call ;;
down) down && say 'down' ;;
render) mkdir -p "$dir" && find_callsign && render ;;
*) fail 'lab.sh up [--unregistered] | call | down' ;;
esac
