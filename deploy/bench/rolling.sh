#!/bin/sh
# What an upgrade costs: two call nodes behind Kamailio as a softswitch, an API node, PostgreSQL (fsync on) and Redis, each on a loopback address of its
# own, take 500 calls a second while an IM system pushes; the nodes are restarted one after the other, again and again, and at last one is killed
# and comes back a second later.
#
#	rolling.sh [RATE [SECONDS]]      calls a second (500) for so long (60)
#
# Exit 0 if every call completed, and every acknowledged push is there.
set -u
[ $# -le 2 ] || { sed -n '2,6s/^#[\t ]*//p' "$0"; exit 2; }
cd "$(dirname "$0")/../.."
export CALLSIGN_TEST_PEERS=1 CALLSIGN_TEST_RATE="${1:-500}" CALLSIGN_TEST_SECONDS="${2:-60}"
exec go test -count=1 -v -timeout 30m -run TestNodesAreRestartedOneAfterTheOtherUnderLoad ./deploy/e2e
