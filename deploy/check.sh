#!/bin/sh
# Format, vet, modernise, lint: prints what is wrong and ends with 1 if anything is.
set -eu
cd "$(dirname "$0")/.."
tool() { go tool -modfile=deploy/tools/go.mod "$@"; }
bad=0
say() { # what is wrong, the output
	if [ -n "$2" ]; then
		printf '%s:\n%s\n' "$1" "$2"
		bad=1
	fi
}
say 'gofumpt would change' "$(tool gofumpt -l .)"
say 'go vet' "$(go vet ./... 2>&1)"
say 'go vet for another system' "$(GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go vet ./sipas/relay 2>&1)" # where datagrams are read in another way
say 'go fix would change' "$(go fix -diff ./... 2>&1)"
say 'staticcheck' "$(tool staticcheck ./... 2>&1)"
say 'go mod tidy would change go.mod' "$(go mod tidy -diff 2>&1)"
tools=$PWD/deploy/tools/go.mod
for module in deploy/bench deploy/packaging deploy/e2e/browser; do # modules of their own, which ./... leaves out
	say "$module: go vet" "$(go -C $module vet ./... 2>&1)"
	say "$module: go fix would change" "$(go -C $module fix -diff ./... 2>&1)"
	say "$module: staticcheck" "$(go -C $module tool -modfile="$tools" staticcheck ./... 2>&1)"
	say "$module: go mod tidy would change go.mod" "$(go -C $module mod tidy -diff 2>&1)"
done
exit $bad
