#!/bin/busybox sh
# The first program of the guest. Its root is the one that the host has made, below
# a layer in memory that takes all that is written; then systemd is started, with nothing
# enabled but the tests.
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /dev /host /layer /new
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for m in /modules/*.ko; do insmod "$m" || echo "$m cannot be loaded"; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose root /host
mount -t tmpfs -o mode=755 layer /layer
mkdir /layer/upper /layer/work
mount -t overlay overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work /new
cd /new/etc
rm -rf systemd/system/* rc?.d/* ../usr/sbin/policy-rc.d ../var/log/journal
: >fstab
echo guest >hostname
echo 127.0.0.1 localhost guest guest.example smarthost.test >hosts
for unit in console-getty getty@ serial-getty@ systemd-udevd systemd-udev-trigger; do ln -s /dev/null systemd/system/$unit.service; done
mkdir systemd/system/multi-user.target.wants
ln -s ../guest.service systemd/system/multi-user.target.wants
cat >systemd/system/guest.service <<END
[Unit]
After=basic.target
[Service]
Type=oneshot
Environment=POSTERN_VM_GUEST=yes HOME=/root
ExecStart=/guest/test -test.run ^TestGuest -test.v
ExecStopPost=/bin/sh -c 'echo "guest ended with status \$EXIT_STATUS"; sync; echo o >/proc/sysrq-trigger'
StandardOutput=file:/dev/ttyS0
StandardError=inherit
TimeoutSec=infinity
END
mount -t tmpfs -o mode=1777 tmp /new/tmp
umount /proc /dev
exec switch_root /new /lib/systemd/systemd --show-status=false --unit=multi-user.target
