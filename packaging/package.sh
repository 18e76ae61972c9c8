#!/bin/sh
# Builds the deb, rpm and apk into dist/. Two runs at the same commit give the
# same octets: every time in them is that of the commit, or SOURCE_DATE_EPOCH.
#
#   ARCH      GOARCH of the packages, default this machine's
#   FORMATS   default "deb rpm apk"
#   DIST      where they go, default dist
#   PACKAGER  "Name <address>" of who builds them
#   PKG_VERSION, COMMIT, SOURCE_DATE_EPOCH  instead of what git says
set -eu
cd "$(dirname "$0")/.."
umask 022
# The last release that needs nothing but the Go module proxy.
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
: "${GO:=go}" "${FORMATS:=deb rpm apk}" "${DIST:=dist}"
: "${PACKAGER:=The postern authors <maintainers@postern.example>}"
: "${ARCH:=$($GO env GOARCH)}"
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
: "${PKG_VERSION:=$(sh packaging/version.sh)}"
export ARCH PACKAGER SOURCE_DATE_EPOCH PKG_VERSION
export TZ=UTC LC_ALL=C

stage=$DIST/stage
rm -rf "$stage" "$DIST"/postern[-_]*
mkdir -p "$stage"/man "$stage"/units "$stage"/units-rpm "$stage"/scripts
make -s build GOARCH="$ARCH" BIN="$stage"/ COMMANDS=./cmd/sendmail VERSION="$PKG_VERSION"
for page in man/*.[158]; do
	gzip -9nc "$page" >"$stage"/man/"$(basename "$page")".gz
done
gzip -9nc CHANGELOG.md >"$stage"/changelog.gz
gzip -9nc >"$stage"/changelog.Debian.gz <<END
postern ($PKG_VERSION-1) unstable; urgency=medium

  * Built from the sources of this version; see changelog.gz for what is new.

 -- $PACKAGER  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
cp packaging/scripts/* "$stage"/scripts/
cp packaging/systemd/*.service packaging/systemd/*.socket packaging/systemd/*.timer "$stage"/units/
for unit in "$stage"/units/*; do
	sed 's,/usr/sbin/sendmail,&.postern,' "$unit" >"$stage"/units-rpm/"$(basename "$unit")"
done
sed "s,dist/stage,$stage," packaging/nfpm.yaml >"$stage"/nfpm.yaml
sed 's/systemctl enable --now.*/rc-update add postern \&\& rc-service postern start/' packaging/smarthost.toml >"$stage"/smarthost-openrc.toml
find "$stage" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

# What apk knows of versions: 1.3.0_rc1, and 1.2.0_p5 or 0.0.0_git202611241215 for
# what lies between two releases.
apk_version=$(echo "$PKG_VERSION" | sed -E 's/\+git([0-9]+).*/_git\1/; s/\+([0-9]+)\.g.*/_p\1/; s/-([a-z]+)\.?([0-9]*)/_\1\2/')
for format in $FORMATS; do
	[ "$format" != apk ] || PKG_VERSION=$apk_version
	config=$stage/nfpm-$format.yaml
	case $format in
	deb) cp "$stage"/nfpm.yaml "$config" ;;
	# Its summary is a field of its own, and it knows documentation, which --nodocs
	# leaves out; nfpm marks files, not directories.
	rpm) sed '/^description:/{n;d}; s,{\(src: .*[^/]\, dst: /usr/share/\(doc\|man\)/\),{type: doc\, \1,' "$stage"/nfpm.yaml >"$config" ;;
	# A description is one line.
	apk) sed '/^description:/{n;:more;n;/^  /{s/.*//;b more}}' "$stage"/nfpm.yaml >"$config" ;;
	esac
	$GO run $nfpm package --config "$config" --packager "$format" --target "$DIST"/
done
