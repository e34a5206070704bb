#!/bin/sh
# What a call costs: callsign serve beside Kamailio doing the same job (tm, a Redis GET of each callee), in turn on the same
# core, the same calls at the same rates. The load generator, Redis and the SMSC simulator share the other core.
#
#	relay.sh [--runs N] [--seconds S] [--quick]      N rounds (7), S seconds for each measurement (8); --quick: a minute in all
#	relay.sh --timelines [--runs N] [--seconds S]    no Kamailio, but callsign with and without timelines, in pairs of turning order
#
# Ends with "ratio N.NN", callsign's CPU per call over Kamailio's when every callee is looked up and none has a text. Exit 0 if
# the run was sound: every call rang and was answered, every one was looked up, no line of a timeline was dropped, and the
# texts went out. All traffic is on 127.77.0.0/16. A full run takes about 21 minutes.
set -u
cd "$(dirname "$0")"
runs=7 seconds=8 silent=100000 texts=10000 fill_seconds=300 rss_seconds=60 pairs='' # a delivered text is remembered for up to 5 minutes
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=${2:?--runs needs a number} && shift ;;
	--seconds) seconds=${2:?--seconds needs a number} && shift ;;
	--timelines) pairs=yes ;;
	--quick) runs=1 seconds=3 silent=10000 texts=1000 fill_seconds=10 rss_seconds=10 ;;
	*) sed -n '2,7s/^#[\t ]*//p' "${0##*/}"; exit 2 ;;
	esac
	shift
done
warm_rate=2500 # of the pass that brings every callee into memory: what a core does besides reading the store

missing=
for pair in kamailio:kamailio redis-server:redis-server redis-cli:redis-tools curl:curl taskset:util-linux pgrep:procps; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -n "$(find /usr/lib /usr/local/lib* -name ndb_redis.so 2>/dev/null | head -1)" ] || missing="$missing kamailio-redis-modules"
sh ../install.sh $missing || exit 1
taskset -c 0,1 true 2>/dev/null || { echo "cores 0 and 1 are needed: run this on a machine that has both"; exit 1; }

work=$(mktemp -d)
fast=$work # for making the database: memory needs no fsync
[ -w /dev/shm ] && fast=$(mktemp -d -p /dev/shm)
generator_side='' proxy=''
runs_on() { grep -q '^State:[[:space:]]*[^Z]' "/proc/$1/status" 2>/dev/null; }
stop() { # pid…: ends them, with kill -9 those that have not ended after ten seconds
	for pid in "$@"; do
		kill "$pid" 2>/dev/null || continue
		tenths=100
		while runs_on "$pid" && [ $tenths -gt 0 ]; do
			sleep 0.1
			tenths=$((tenths - 1))
		done
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
}
cleanup() {
	stop $proxy $generator_side
	rm -rf "$work" "$fast"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

go build -o "$work/" ./calls ./subscribers || exit 1
(cd ../.. && go build -o "$work/callsign" ./cmd/callsign) || exit 1

echo "filling the store with $((silent + texts)) subscribers, $texts of them with a text"
"$work/subscribers" -path "$fast/full.db" -silent "$silent" -texts "$texts" || exit 1
taskset -c 1 redis-server --bind 127.77.0.9 --port 16379 --save '' --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
generator_side=$!
taskset -c 1 "$work/callsign" smsc --listen 127.77.0.8:12775 --http 127.77.0.8:18775 >/dev/null 2>"$work/smsc.log" &
generator_side="$generator_side $!"
redis() { redis-cli -h 127.77.0.9 -p 16379 "$@"; }
wait_for() { # seconds, what, command…
	limit=$(($1 * 10)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		limit=$((limit - 1))
		[ "$limit" -gt 0 ] || { echo "$what did not start"; cat "$work"/*.log; exit 1; }
		sleep 0.1
	done
}
wait_for 10 redis-server redis ping
awk -v silent="$silent" -v n="$((silent + texts))" 'BEGIN {
	for (i = 0; i < n; i++) printf "SET text:+861390%07d \"%s\"\r\n", i, i < silent ? "" : "On the road, call you back at six"
}' | redis --pipe >"$work/redis-fill.log" || exit 1

doubt() {
	echo "UNSOUND: $*"
	: >"$work/unsound"
}
value() { # of a line of name=value: the line, the name
	for word in $1; do
		case $word in "$2="*) echo "${word#*=}" ;; esac
	done
}
note() { echo "$1 $2" >>"$work/results"; } # a measurement's name and value
last=
calls() { # name, arguments of calls…: places them, leaves what was found in $last
	name=$1
	shift
	last=$(timeout $((seconds + fill_seconds + rss_seconds + silent / warm_rate + 30)) taskset -c 1 "$work/calls" "$@" 2>"$work/calls.log") ||
		doubt "$name: $last $(head -40 "$work/calls.log")"
	echo "$name: $last" >>"$work/all"
}
cpu() { # pid…: clock ticks that they used
	for pid in "$@"; do cut -d' ' -f14,15 "/proc/$pid/stat"; done | awk '{ n += $1 + $2 } END { print n }'
}
hertz=$(getconf CLK_TCK)
per_thousand() { awk -v t="$1" -v hz="$hertz" -v n="$2" 'BEGIN { printf "%.4f\n", t / hz / n * 1000 }'; }

kamailio=127.77.0.4:5060 callsign=127.77.0.2:5060 metrics=http://127.77.0.2:18080
start_kamailio() {
	taskset -c 0 kamailio -DD -E -m 512 -X fm -x fm -b 4194304 -A "LISTEN=udp:$kamailio" \
		-A 'REDIS="name=texts;addr=127.77.0.9;port=16379"' -f "$PWD/kamailio.cfg" >"$work/kamailio.log" 2>&1 &
	proxy=$!
	wait_for 10 kamailio sh -c "[ \$(pgrep -c -P $proxy) -ge 4 ]"
	sleep 1
	processes="$proxy $(pgrep -P "$proxy" | tr '\n' ' ')"
}
start_callsign() { # whether timelines are kept: true, or false
	rm -rf "$work/state"
	mkdir "$work/state"
	cp "$fast/full.db" "$work/state/callsign.db"
	cat >"$work/callsign.yaml" <<-END
		sip: { listen: ["udp://$callsign"] }
		show: { caller_ranges: ["+86138"], per_second: 1000 }
		smpp: { links: [ { name: a, address: "127.77.0.8:12775", system_id: bench, password: bench, channel: flash, window: 100 } ] }
		store: { url: "sqlite://$work/state/callsign.db", timelines: ${1:-true} }
		http: { listen: "${metrics#http://}" }
		state: { dir: "$work/state" }
	END
	taskset -c 0 "$work/callsign" serve -c "$work/callsign.yaml" >"$work/callsign.log" 2>&1 &
	proxy=$!
	wait_for 20 callsign curl -sf $metrics/readyz
	processes=$proxy
}
stop_proxy() {
	stop $proxy
	proxy=
}
metric() { # name with its label: its value, as an integer
	curl -sf $metrics/metrics | awk -v name="$1" '$1 == name { printf "%d\n", $2 }'
}
dropped() {
	echo $(($(metric 'callsign_journal_events_total{result="dropped"}') + $(metric callsign_sip_events_dropped_total)))
}
warm() { # every callee once: memory knows them then
	calls 'callsign, warming' -proxy $callsign -rate $warm_rate -calls $((silent + texts)) -silent "$silent" -texts "$texts" -text-every $((silent / texts + 1))
	sleep 2
	known=$(metric callsign_cache_profiles)
	[ "$known" -ge $(((silent + texts) * 99 / 100)) ] || doubt "memory knows $known of $((silent + texts)) callees after the warming pass"
}
measured() { # name, rate, where in their order the callees begin, more arguments of calls…: CPU and latency of $processes
	what=$1 rate=$2 begin=$3
	shift 3
	n=$((rate * seconds))
	before=$(cpu $processes)
	calls "$what" "$@" -rate "$rate" -calls $n -first "$begin" -silent "$silent" -texts "$texts"
	sleep 1 # what it still writes belongs to these calls
	note "$what/cpu" "$(per_thousand $(($(cpu $processes) - before)) $n)"
	for percentile in p50 p99; do note "$what/$percentile" "$(value "$last" $percentile)"; done
}

delivered() { # name, where the callees begin: one call in ten delivered at 2000/s, without a text or a line lost
	drops=$(dropped)
	accepted=$(metric 'callsign_deliveries_total{outcome="accepted"}')
	measured "$1" 2000 "$2" -proxy $callsign -text-every 10
	sent=$(($(metric 'callsign_deliveries_total{outcome="accepted"}') - accepted))
	[ $sent -ge $((198 * seconds)) ] || doubt "$sent texts were accepted by the SMSC, $((200 * seconds)) were due"
	[ "$(dropped)" = "$drops" ] || doubt "$(($(dropped) - drops)) events of calls or lines of timelines were dropped"
}
cost_of_timelines() {
	for round in $(seq "$runs"); do
		echo "pair $round of $runs"
		order='true false'
		[ $((round % 2)) = 1 ] || order='false true'
		for kept in $order; do
			start_callsign "$kept"
			warm
			delivered "timelines/$kept" $((10 * silent - 2000 * seconds))
			lines=$(metric 'callsign_journal_events_total{result="written"}')
			if [ "$kept" = true ]; then
				[ "$lines" -gt $((1000 * seconds)) ] || doubt "only $lines lines of timelines were written"
			else
				[ "$lines" = 0 ] || doubt "$lines lines were written of timelines that are switched off"
			fi
			stop_proxy
		done
	done
	echo
	for of in cpu p50 p99; do
		grep "^timelines/true/$of " "$work/results" | cut -d' ' -f2 >"$work/with"
		grep "^timelines/false/$of " "$work/results" | cut -d' ' -f2 | paste -d' ' "$work/with" - | awk -v of=$of '
			BEGIN { split("12.71 4.30 3.18 2.78 2.57 2.45 2.36 2.31 2.26 2.23 2.20 2.18 2.16 2.14 2.13 2.12 2.11 2.10 2.09", t, " ") } # of Student, 95%
			{ with += $1; without += $2; d = $1 - $2; sum += d; squares += d * d }
			END {
				mean = sum / NR
				half = NR < 2 ? 0 : (NR - 1 in t ? t[NR - 1] : 2) * sqrt((squares - NR * mean * mean) / (NR - 1) / NR)
				name = of == "cpu" ? "CPU s per 1000 calls at 2000/s, one in ten delivered" : "INVITE to 180, " of ", us"
				printf "%-54s with %.4f  without %.4f  difference %+.4f, 95%% of it between %+.4f and %+.4f\n", name, with / NR, without / NR, mean, mean - half, mean + half
				if (of == "cpu") printf "%.2f\n", with / without >"'"$work"'/ratio"
			}'
	done
	echo "ratio $(cat "$work/ratio")"
	[ ! -e "$work/unsound" ]
}
[ -z "$pairs" ] || {
	cost_of_timelines
	exit
}

round=0
while [ $round -lt "$runs" ]; do
	round=$((round + 1))
	echo "round $round of $runs"
	for rate in 500 2000; do
		calls "direct/$rate" -rate $rate -calls $((rate * 2))
		for percentile in p50 p99; do note "direct/$rate/$percentile" "$(value "$last" $percentile)"; done
	done

	start_kamailio
	calls 'kamailio, warming' -proxy $kamailio -rate 2000 -calls 4000
	redis config resetstat >/dev/null
	measured kamailio/a/2000 2000 0 -proxy $kamailio
	measured kamailio/a/500 500 50000 -proxy $kamailio
	measured kamailio/b/2000 2000 60000 -proxy $kamailio -text-every 10
	gets=$(redis info commandstats | sed -n 's/^cmdstat_get:calls=\([0-9]*\),.*/\1/p')
	[ "${gets:-0}" -ge $((4500 * seconds)) ] || doubt "Kamailio asked Redis ${gets:-0} times for $((4500 * seconds)) calls"
	stop_proxy

	# The order of callees begins anew at each multiple of $silent; these are those whom the warming pass called last.
	start_callsign
	warm
	drops=$(dropped)
	hits=$(metric 'callsign_cache_lookups_total{result="hit"}')
	measured callsign/a/2000 2000 $((10 * silent - 2000 * seconds)) -proxy $callsign
	measured callsign/a/500 500 $((10 * silent - 2500 * seconds)) -proxy $callsign
	accepted=$(metric 'callsign_deliveries_total{outcome="accepted"}')
	measured callsign/b/2000 2000 $((10 * silent - 5000 * seconds)) -proxy $callsign -text-every 10
	note callsign/hits $((($(metric 'callsign_cache_lookups_total{result="hit"}') - hits) * 100 / (4500 * seconds)))
	sent=$(($(metric 'callsign_deliveries_total{outcome="accepted"}') - accepted))
	note callsign/sent $sent
	[ $sent -ge $((198 * seconds)) ] || doubt "$sent texts were accepted by the SMSC, $((200 * seconds)) were due"
	[ "$(dropped)" = "$drops" ] || doubt "$(($(dropped) - drops)) events of calls or lines of timelines were dropped in the measurements"
	stop_proxy
done

echo "resident memory at 4000 calls/s for $fill_seconds and $rss_seconds s, one call in ten delivered"
start_callsign
warm
rss() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$proxy/status"; }
drops=$(dropped)
rss >"$work/rss"
(
	calls 'callsign at 4000/s' -proxy $callsign -rate 4000 -calls $((4000 * (fill_seconds + rss_seconds))) -silent "$silent" -texts "$texts" -text-every 10
	echo "$last" >"$work/rss-calls"
) &
loading=$!
while kill -0 $loading 2>/dev/null; do
	sleep 1
	rss >>"$work/rss" # a line for each second
done
wait $loading
rss_dropped=$(($(dropped) - drops))
stop_proxy

median() { # name: median (least..greatest)
	grep "^$1 " "$work/results" | sort -g -k2 | awk '{ v[NR] = $2 } END { printf "%s (%s..%s)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
middle() { m=$(median "$1") && echo "${m%% *}"; }
ratio() { awk -v a="$(middle "$1")" -v b="$(middle "$2")" 'BEGIN { printf "%.2f", a / b }'; }
row() { printf '%-44s  %-26s  %-26s  %s\n' "$@"; }
line=$(grep '^callsign/a/2000' "$work/all" | tail -1)
echo
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $(kamailio -v | sed -n 's/^version: //p'), $(go version | cut -d' ' -f3)"
echo "Receive buffers: $(value "$line" buffer) bytes of the generator's, net.core.rmem_max is $(cat /proc/sys/net/core/rmem_max). An INVITE has $(value "$line" invite) bytes."
echo "All callees were called once before, so callsign's memory has them: $(median callsign/hits)% of its look-ups were answered from there. Kamailio asks Redis for each."
echo "Medians (least..greatest) of $runs rounds of $seconds s."
echo
row '' callsign Kamailio ratio
row 'CPU s per 1000 calls at 2000/s, no text' "$(median callsign/a/2000/cpu)" "$(median kamailio/a/2000/cpu)" "$(ratio callsign/a/2000/cpu kamailio/a/2000/cpu)"
row 'the same, one call in ten delivered' "$(median callsign/b/2000/cpu)" "$(median kamailio/b/2000/cpu)" "$(ratio callsign/b/2000/cpu kamailio/b/2000/cpu)"
for rate in 500 2000; do
	for percentile in p50 p99; do
		row "INVITE to 180 at $rate/s, $percentile, us" "$(median callsign/a/$rate/$percentile)" "$(median kamailio/a/$rate/$percentile)" \
			"$(ratio callsign/a/$rate/$percentile kamailio/a/$rate/$percentile), direct path $(median direct/$rate/$percentile)"
	done
done
row 'texts accepted by the SMSC, of a round' "$(median callsign/sent)" '' "$((200 * seconds)) were due"
echo "Resident memory of callsign at 4000 calls/s, one in ten delivered: $(head -1 "$work/rss") MB at the start, $(sed -n "${rss_seconds}p" "$work/rss") after $rss_seconds s, $(sed -n "${fill_seconds}p" "$work/rss") after $fill_seconds s, $(tail -1 "$work/rss") another $rss_seconds s later, at most $(sort -n "$work/rss" | tail -1); $rss_dropped events dropped"
echo "$(cat "$work/rss-calls")"
echo "INVITEs sent again in all: $(for l in $(sed 's/ /\n/g' "$work/all" | grep '^retransmitted='); do echo "${l#*=}"; done | awk '{ n += $1 } END { print n }')"
echo "ratio $(ratio callsign/a/2000/cpu kamailio/a/2000/cpu)"
[ ! -e "$work/unsound" ]
