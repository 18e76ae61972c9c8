#!/bin/sh
# Prints the version of this tree as packages want it: it begins with a digit,
# and what is built after a release sorts after it.
#
#   v1.2.0               1.2.0
#   5 commits later      1.2.0+5.g0123456
#   v1.3.0-rc1           1.3.0-rc1   (the packages turn it into 1.3.0~rc1)
#   without any tag      0.0.0+git202611241215.0123456, with the time in UTC
set -eu
cd "$(dirname "$0")/.."
dirty=
[ -z "$(git status --porcelain --untracked-files=no)" ] || dirty=.dirty
if tag=$(git describe --tags --match 'v[0-9]*' --long 2>/dev/null); then
	commit=${tag##*-g}
	rest=${tag%-g*}
	count=${rest##*-}
	version=${rest%-*}
	version=${version#v}
	[ "$count" = 0 ] && [ -z "$dirty" ] || version=$version+$count.g$commit$dirty
else
	version=0.0.0+git$(TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M --format=%cd.%h)$dirty
fi
echo "$version"
