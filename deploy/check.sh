#!/bin/sh
# Format, vet, modernise, lint: prints what is wrong and ends with 1 if anything is.
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/deploy/tools/go.mod
bad=0
found() { "$@" 2>&1 | grep -v '^go: downloading '; } # what a command prints; on a new machine it fetches modules first
say() { # what is wrong, the output
	if [ -n "$2" ]; then
		printf '%s:\n%s\n' "$1" "$2"
		bad=1
	fi
}
say 'gofumpt would change' "$(found go tool -modfile="$tools" gofumpt -l .)"
say 'go vet' "$(found go vet ./...)"
say 'go vet for another system' "$(found go vet -tags portable ./sipas/relay ./gsmbridge/smpp)" # where sockets are read in another way
say 'go fix would change' "$(found go fix -diff ./...)"
say 'staticcheck' "$(found go tool -modfile="$tools" staticcheck ./...)"
say 'go mod tidy would change go.mod' "$(found go mod tidy -diff)"
for module in deploy/bench deploy/packaging deploy/e2e/browser; do # modules of their own, which ./... leaves out
	say "$module: go vet" "$(found go -C $module vet ./...)"
	say "$module: go fix would change" "$(found go -C $module fix -diff ./...)"
	say "$module: staticcheck" "$(found go -C $module tool -modfile="$tools" staticcheck ./...)"
	[ $module = deploy/packaging ] || # it would fetch all that Helm's own tests need
		say "$module: go mod tidy would change go.mod" "$(found go -C $module mod tidy -diff)"
done
exit $bad
