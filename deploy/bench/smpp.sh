#!/bin/sh
# What a submit costs: our SMPP session beside linxGnu/gosmpp's and fiorix's Transceiver, in turn on the same core, the same message
# into the same SMSC, one that is none of the three and looks at headers only, on another core.
#
#	smpp.sh [--rounds N] [--seconds S]      N rounds (5), S seconds for each measurement (3)
#
# Ends with "ratio N.NN", our submit_sm/s over the better of the two's with 100 of them waiting for their answer at once. Exit 0 if the
# run was sound: every submit had its answer, and all sent as many octets. All traffic is on 127.77.0.0/16. A full run takes
# under three minutes.
set -u
cd "$(dirname "$0")"
rounds=5 seconds=3
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=${2:?--rounds needs a number} && shift ;;
	--seconds) seconds=${2:?--seconds needs a number} && shift ;;
	*) sed -n '2,9s/^#[\t ]*//p' "${0##*/}"; exit 2 ;;
	esac
	shift
done
command -v taskset >/dev/null || sh ../install.sh util-linux || exit 1
taskset -c 0,1 true 2>/dev/null || { echo "cores 0 and 1 are needed: run this on a machine that has both"; exit 1; }
work=$(mktemp -d)
sink=''
cleanup() {
	[ -n "$sink" ] && kill "$sink" 2>/dev/null && wait "$sink" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
go build -o "$work/smpp" ./smpp || exit 1
address=127.77.0.11:2775
taskset -c 0 "$work/smpp" -address $address >"$work/sink" 2>"$work/sink.log" &
sink=$!
tenths=50
until taskset -c 1 "$work/smpp" -address $address -library callsign -seconds 0.1 >/dev/null 2>&1; do
	tenths=$((tenths - 1))
	[ $tenths -gt 0 ] || { echo 'the SMSC did not start'; cat "$work/sink.log"; exit 1; }
	sleep 0.1
done

libraries='callsign gosmpp fiorix' windows='1 10 100'
round=0
while [ $round -lt "$rounds" ]; do
	round=$((round + 1))
	for window in $windows; do
		for library in $libraries; do
			line=$(taskset -c 1 "$work/smpp" -address $address -library "$library" -window "$window" -seconds "$seconds" 2>&1)
			case $line in rate=*) ;; *) echo "UNSOUND: $library, window $window: $line" && : >"$work/unsound" && continue ;; esac
			rate=${line% *}
			echo "$library/$window/rate ${rate#rate=}" >>"$work/results"
			echo "$library/$window/cpu ${line#*cpu=}" >>"$work/results"
		done
	done
	libraries="${libraries#* } ${libraries%% *}" # none is always first
done

median() { # name: median (least..greatest)
	grep "^$1 " "$work/results" | sort -g -k2 | awk '{ v[NR] = $2 } END { printf "%s (%s..%s)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
middle() { m=$(median "$1") && echo "${m%% *}"; }
row() { printf '%-30s  %-28s  %-28s  %-28s  %s\n' "$@"; }
against() { # what window more|less: callsign's over the better of the two's
	awk -v a="$(middle "callsign/$2/$1")" -v b="$(middle "gosmpp/$2/$1")" -v c="$(middle "fiorix/$2/$1")" -v more="$3" \
		'BEGIN { printf "%.2f", a / ((b > c) == (more == "more") ? b : c) }'
}
sizes=$(grep -v 'submits=0' "$work/sink" | sed 's/.*octets=//' | sort -u)
[ "$(echo "$sizes" | wc -l)" = 1 ] || { echo "UNSOUND: the libraries' submits differ in octets:" $sizes && : >"$work/unsound"; }
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $(go version | cut -d' ' -f3), $(
	go list -m -f '{{.Path}} {{.Version}}' github.com/linxGnu/gosmpp github.com/fiorix/go-smpp | tr '\n' ' ')"
echo "Medians (least..greatest) of $rounds rounds of $seconds s; a submit_sm has ${sizes%.*} octets."
echo
row '' callsign gosmpp fiorix 'over the better'
for window in $windows; do
	row "submit_sm/s, window $window" "$(median callsign/"$window"/rate)" "$(median gosmpp/"$window"/rate)" "$(median fiorix/"$window"/rate)" "$(against rate "$window" more)"
done
for window in $windows; do
	row "CPU s per 1000, window $window" "$(median callsign/"$window"/cpu)" "$(median gosmpp/"$window"/cpu)" "$(median fiorix/"$window"/cpu)" "$(against cpu "$window" less)"
done
echo "ratio $(against rate 100 more)"
[ ! -e "$work/unsound" ]
