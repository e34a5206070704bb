#!/bin/sh
# Installs what is missing, runs every check and test, and ends with "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

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

passed=0 failed=0
run() { # name, command…: one check that passes or fails
	name=$1
	shift
	if "$@" >"$work/check.log" 2>&1; then
		passed=$((passed + 1))
		echo "ok    $name"
	else
		failed=$((failed + 1))
		cat "$work/check.log"
		echo "FAIL  $name"
	fi
}
tests() { # [-C folder], go test's arguments: adds what passed and failed
	in=.
	[ "$1" != -C ] || { in=$2; shift 2; } # a module of its own
	(cd "$in" && go test -v -shuffle=on "$@") >"$work/test.log" 2>&1
	code=$?
	count() { grep -c "^ *--- $1: " "$work/test.log"; }
	p=$(count PASS) f=$(count FAIL) s=$(count SKIP)
	if [ "$code" != 0 ] && [ "$f" = 0 ]; then
		f=1 # it did not build, or a test ended the process
	fi
	if [ "$code" != 0 ]; then
		grep -v -e '^ *=== ' -e '^ *--- PASS' -e '^PASS$' "$work/test.log"
	fi
	grep -e '^ok ' -e '^FAIL' "$work/test.log"
	grep -A1 '^ *--- SKIP' "$work/test.log"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}
skipped=0

run 'deploy/check.sh' sh deploy/check.sh
tests -race $(go list ./... | grep -v /deploy/e2e)
tests -count=1 -timeout 20m ./deploy/e2e
tests -C deploy/e2e/browser -count=1 ./...
run 'deploy/bench: go test' sh -c 'cd deploy/bench && go test ./...'
run 'deploy/packaging: go test' sh -c 'cd deploy/packaging && go test ./...'
run 'callsign demo --once' go run ./cmd/callsign demo --once

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
