#!/bin/sh
# Builds a release: static binaries for Linux on amd64 and arm64, a software bill of materials of each (CycloneDX), the files that
# an operator needs beside them, and SHA256SUMS of all.
#
#	release.sh VERSION DIRECTORY      like release.sh v1.2.0 dist
#
# The same commit and version give the same bytes, on any machine with the Go version of go.mod: the time is the commit's, and no path of
# this machine is in them. A tree that differs from its commit is refused.
set -eu
[ $# = 2 ] || { sed -n '2,5s/^#[\t ]*//p' "$0"; exit 2; }
version=$1
case $version in
v[0-9]*.[0-9]*.[0-9]*) ;;
*) echo "the version $version: write it like v1.2.0"; exit 2 ;;
esac
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
[ -z "$(ls -A "$out")" ] || { echo "$out is not empty: name an empty directory"; exit 2; }
[ -z "$(git status --porcelain)" ] || { echo 'the tree differs from its commit: commit or stash first'; git status --short; exit 1; }
wanted=$(sed -n 's/^toolchain //p' go.mod)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export CGO_ENABLED=0 GOOS=linux GOFLAGS= GOAMD64=v1 GOARM64=v8.0 SOURCE_DATE_EPOCH
[ -z "$wanted" ] || export GOTOOLCHAIN="$wanted"
for arch in amd64 arm64; do
	name=callsign-$version-linux-$arch
	GOARCH=$arch go build -trimpath -buildvcs=true -ldflags "-s -w -buildid= -X main.released=$version" -o "$out/$name" ./cmd/callsign
	# It knows from the binary itself what that is made of. The time is the commit's here too.
	go tool -modfile=deploy/tools/go.mod cyclonedx-gomod bin -json -noserial -version "$version" -output "$out/$name.cdx.json" "$out/$name" 2>"$out/sbom.log" || {
		cat "$out/sbom.log"
		exit 1
	}
	rm "$out/sbom.log"
	sed -i "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$(date -u -d @"$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"/" "$out/$name.cdx.json"
done
tar -c --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u=rwX --mtime=@"$SOURCE_DATE_EPOCH" --exclude=go.mod --exclude=go.sum --exclude='*_test.go' \
	LICENSE README.md CONTRIBUTING.md deploy/callsign.service deploy/prometheus deploy/grafana deploy/helm deploy/kamailio deploy/docs deploy/metrics.md \
	deploy/records.md deploy/examples deploy/lab deploy/sipp deploy/Dockerfile deploy/compose.yaml deploy/compose deploy/bench/*.svg \
	deploy/e2e/browser/pictures sigsync/*/README.md |
	gzip -9n >"$out/callsign-$version-deploy.tar.gz"
(cd "$out" && sha256sum * >SHA256SUMS)
echo "$out:"
ls "$out"
