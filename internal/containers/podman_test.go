//go:build containers

package containers

// podman is podman for this run: its own storage, and without what a host may not
// allow: networks of their own, limits above ours, systemd. A container finds the
// smarthost of the compose example on loopback and knows its authority.
const podman = `#!/bin/sh
root=$(cd "${0%/*}" && pwd)
n=$#
while [ $n -gt 0 ]; do
	case $1 in
	--net | --network-alias) shift 2; n=$((n - 2)); continue ;;
	esac
	set -- "$@" "$1"; shift; n=$((n - 1))
done
command=$1; shift
case $command in
build) set -- --pull=never --format docker --isolation chroot --network host \
	--build-context postern-source="$root"/tree --volume "$root"/gocache:/root/.cache/go-build --volume "$root"/go:/root/go "$@" ;;
run) set -- --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
	--add-host smtp.example.com:127.0.0.1 --volume "$root"/ca.pem:/etc/ssl/certs/ca-certificates.crt:ro "$@" ;;
esac
exec podman --root "$root"/graph --runroot "$root"/run --tmpdir "$root"/tmp --network-config-dir "$root"/net \
	--storage-driver overlay --cgroup-manager cgroupfs --events-backend file --log-level fatal "$command" "$@"
`

// standIns makes the base images of the Dockerfiles: busybox, and the programs with
// their libraries that a RUN or CMD line calls. What apk would add is there.
const standIns = `
cd "$root"; mkdir gocache go net
base() {
	image=$1; mkdir -p $image/bin $image/sbin $image/usr/bin $image/usr/sbin $image/usr/lib $image/usr/local $image/etc/ssl/certs $image/root $image/tmp
	chmod 1777 $image/tmp
	cp /bin/busybox $image/bin/
	for name in $(busybox --list); do ln -s busybox $image/bin/$name 2>/dev/null || :; done
	printf '#!/bin/sh\n[ "$1" = add ]\n' >$image/sbin/apk; chmod 755 $image/sbin/apk
	echo root:x:0:0:root:/root:/bin/sh >$image/etc/passwd
}
add() {
	for program; do for file in $program $(ldd $program | grep -o '/[^ ]*'); do
		mkdir -p $image${file%/*}; cp --dereference --force $file $image$file
	done; done
}
base alpine
base golang
add /usr/bin/git /usr/bin/make
cp -r "$(go env GOROOT)" golang/usr/local/go
cp /etc/ssl/certs/ca-certificates.crt golang/etc/ssl/certs/
base php
add /usr/bin/php
tar -C alpine -c . | ./podman import - docker.io/library/alpine:3
tar -C golang -c . | ./podman import -c 'ENV PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin' -c 'ENV GOTOOLCHAIN=local' - docker.io/library/golang:1.26-alpine
tar -C php -c . | ./podman import - docker.io/library/php:8-cli
rm -r alpine golang php`

// build builds a copy of the repository's files as their comments say.
const build = `
mkdir "$root"/tree
git ls-files -z | tar -c --null -T - | tar -xC "$root"/tree
cd "$root"/tree
../podman build -f packaging/Dockerfile -t postern .
../podman build -f packaging/Dockerfile --target alpine -t postern:alpine .
../podman build -f ../Dockerfile.readme -t php-readme .
cd packaging/compose
printf %s 'the password' >smtp-password
podman-compose --podman-path "$root"/podman build
# The password is next to what is copied into the images.
! find "$root"/graph -name smtp-password | grep .`
