#!/bin/sh
# Installs Debian packages, as root or by sudo: install.sh PACKAGE…; without any it does nothing.
set -u
[ $# -gt 0 ] || exit 0
echo "installing $*"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >"$log" 2>&1 || {
	cat "$log"
	echo "could not install $*: install them by hand and run this again"
	exit 1
}
