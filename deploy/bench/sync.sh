#!/bin/sh
# Reading a network in real time: a node's schedule, intake and SQLite engine, and a network that answers each call after 20 ms with the
# texts of 50 accounts, of which one in 100 says something new.
#
#	sync.sh [--accounts N] [--rate N] [--seconds S]     50000 accounts at 5000 a second, for 60 s
#
# Ends with "late N", the reads of an account that came later than its interval after the one before. Exit 0 if there is none and no second
# had more calls than the network allows. No traffic; the database is in a temporary folder.
set -u
cd "$(dirname "$0")"
accounts=50000 rate=5000 seconds=60
while [ $# -gt 0 ]; do
	case $1 in
	--accounts) accounts=${2:?--accounts needs a number} && shift ;;
	--rate) rate=${2:?--rate needs a number} && shift ;;
	--seconds) seconds=${2:?--seconds needs a number} && shift ;;
	*) sed -n '2,5s/^#[\t ]*//p' "${0##*/}"; exit 2 ;;
	esac
	shift
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
go build -o "$work/sync" ./sync || exit 1
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $(go version | cut -d' ' -f3)"
"$work/sync" -accounts "$accounts" -rate "$rate" -seconds "$seconds"
