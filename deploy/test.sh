#!/bin/sh
# Installs what is missing, runs every check and test, and ends with "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.."
work=$(mktemp -d)
beside=
trap '[ -z "$beside" ] || kill "$beside" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

missing=
for pair in gcc:build-essential sipp:sip-tester tshark:tshark sqlite3:sqlite3 curl:curl node:nodejs npm:npm python3:python3 kamailio:kamailio redis-server:redis-server redis-cli:redis-tools bearerbox:kannel prosody:prosody chromium:chromium prometheus:prometheus promtool:prometheus systemd-analyze:systemd; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
for pair in ims_isc:kamailio-ims-modules presence:kamailio-presence-modules; do # no commands, but Kamailio's modules
	ls /usr/lib/*/kamailio/modules/"${pair%%:*}.so" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
perl -MNet::SMPP -e 1 2>/dev/null || missing="$missing libnet-smpp-perl"
fc-list 2>/dev/null | grep -qi 'noto.*cjk' || missing="$missing fontconfig fonts-noto-cjk fonts-noto-color-emoji" # for the console's pictures
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql" # not in PATH either
sh deploy/install.sh $missing || exit 1
npm="smpp@0.5.1 ws@8.18.0 @asyncapi/parser@3.6.3 @seriousme/openapi-schema-validator@2.11.0 axe-core@4.14.1"
npm install --silent --no-audit --no-fund --prefix "$work/node" $npm >"$work/npm.log" 2>&1 || {
	cat "$work/npm.log"
	echo "could not install from npm: $npm"
	exit 1
}
export CALLSIGN_TEST_PEERS=1 CALLSIGN_NODE_PATH="$work/node/node_modules"

# All that is built here is built as a release is, and so but once; race detection alone needs cgo.
export GOFLAGS=-trimpath CGO_ENABLED=0

count() { echo "$@" >>"$work/counts"; } # passed, failed, skipped
run() {                                 # name, command…: one check that passes or fails
	name=$1 log=$(mktemp "$work/log.XXXXXX")
	shift
	if "$@" >"$log" 2>&1; then
		count 1 0 0
		echo "ok    $name"
	else
		count 0 1 0
		cat "$log"
		echo "FAIL  $name"
	fi
}
tests() { # [-C folder], go test's arguments: counts what passed and failed
	in=. log=$(mktemp "$work/log.XXXXXX")
	[ "$1" != -C ] || { in=$2; shift 2; } # a module of its own
	(cd "$in" && go test -v -shuffle=on "$@") >"$log" 2>&1
	code=$?
	ended() { grep -c "^ *--- $1: " "$log"; }
	p=$(ended PASS) f=$(ended FAIL) s=$(ended SKIP)
	if [ "$code" != 0 ] && [ "$f" = 0 ]; then
		f=1 # it did not build, or a test ended the process
	fi
	if [ "$code" != 0 ]; then
		grep -v -e '^ *=== ' -e '^ *--- PASS' -e '^PASS$' "$log"
	fi
	grep -e '^ok ' -e '^FAIL' "$log"
	grep -A1 '^ *--- SKIP' "$log"
	count "$p" "$f" "$s"
}

{ # compilers take what the tests below leave, which mostly wait for real servers
	run 'deploy/check.sh' nice sh deploy/check.sh
	run 'deploy/bench: go test' nice sh -c 'cd deploy/bench && go test ./...'
	run 'deploy/packaging: go test' nice sh -c 'cd deploy/packaging && go test ./...'
} >"$work/beside" 2>&1 &
beside=$!
tests -count=1 -timeout 20m -parallel 5 ./deploy/e2e
tests -C deploy/e2e/browser -count=1 ./...
tests -tags portable ./sipas/relay ./gsmbridge/smpp # as on other systems than Linux
run 'callsign demo --once' go run ./cmd/callsign demo --once
CGO_ENABLED=1 tests -race $(go list ./... | grep -v /deploy/e2e)
wait "$beside"
beside=
cat "$work/beside"

awk '{ p += $1; f += $2; s += $3 } END { print p + 0 " passed, " f + 0 " failed, " s + 0 " skipped"; exit (f > 0) }' "$work/counts"
