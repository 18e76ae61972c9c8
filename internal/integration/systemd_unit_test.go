//go:build integration

package integration

import (
	"path/filepath"
	"regexp"
	"testing"
)

// probe is a password_command, so it runs as whatever the service is allowed. It
// writes down what came of each attempt.
const probe = `#!/usr/bin/python3
import ctypes, errno, mmap, os, resource, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    if getattr(libc, name)(*args) == -1:
        raise OSError(ctypes.get_errno(), name)
    return "works"
def create(path):
    with open(path, "x"):
        return "works"
def readonly(path):
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
def tried(f):
    try:
        return f()
    except OSError as e:
        return errno.errorcode[e.errno]
status = dict(line.rstrip("\n").split(":\t") for line in open("/proc/self/status") if ":\t" in line)
own = "/var/spool/postern/probe.own"
open(own, "w").close()
with open("/var/spool/postern/probe.new", "w") as out:
    for name, f in {
        "user": lambda: " ".join(status["Uid"].split()) == " ".join(4 * [str(os.stat("/var/spool/postern").st_uid)]),
        "NoNewPrivs": lambda: status["NoNewPrivs"],
        "CapBnd": lambda: status["CapBnd"],
        "CapEff": lambda: status["CapEff"],
        "Seccomp": lambda: status["Seccomp"],
        "Umask": lambda: status["Umask"],
        "LimitCORE": lambda: resource.getrlimit(resource.RLIMIT_CORE),
        "spool": lambda: create("/var/spool/postern/probe.file"),
        "ProtectSystem /usr": lambda: create("/usr/probe"),
        "ProtectSystem /etc": lambda: create("/etc/postern/probe"),
        "ProtectSystem /var": lambda: create("/var/tmp/../lib/probe"),
        "ProtectHome": lambda: os.listdir("/home"),
        "ProtectHome /root": lambda: os.listdir("/root"),
        "PrivateTmp": lambda: [create("/tmp/probe"), sorted(os.listdir("/tmp"))],
        "PrivateDevices": lambda: os.path.exists("/dev/marker"),
        "ProtectControlGroups": lambda: readonly("/sys/fs/cgroup"),
        "ProtectKernelTunables": lambda: readonly("/proc/irq"),
        "ProtectKernelLogs": lambda: call("klogctl", 10, None, 0),
        "ProtectHostname": lambda: call("sethostname", b"x", 1),
        "LockPersonality": lambda: call("personality", 8),
        "MemoryDenyWriteExecute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) and "works",
        "RestrictAddressFamilies netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) and "works",
        "RestrictAddressFamilies inet6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0) and "works",
        "RestrictNamespaces": lambda: call("unshare", 0x10000000),
        "RestrictRealtime": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "RestrictSUIDSGID": lambda: os.chmod(own, 0o4700),
        "SystemCallFilter @resources": lambda: os.nice(1),
        "SystemCallFilter @privileged": lambda: os.chown(own, os.getuid(), -1),
        "SystemCallFilter @debug": lambda: call("ptrace", 0, 0, 0, 0),
    }.items():
        print(name + ":", tried(f), file=out)
for name in own, "/var/spool/postern/probe.file":
    os.remove(name)
os.rename("/var/spool/postern/probe.new", "/var/spool/postern/probe")
sys.stdout.write(open("/etc/postern/password").read())
`

// probed is what is to come of each: the service can do what it is for, and
// nothing else.
const probed = `user: True
NoNewPrivs: 1
CapBnd: 0000000000000000
CapEff: 0000000000000000
Seccomp: 2
Umask: 0007
LimitCORE: (0, 0)
spool: works
ProtectSystem /usr: EROFS
ProtectSystem /etc: EROFS
ProtectSystem /var: EROFS
ProtectHome: EACCES
ProtectHome /root: EACCES
PrivateTmp: ['works', ['probe']]
PrivateDevices: False
ProtectControlGroups: True
ProtectKernelTunables: True
ProtectKernelLogs: EPERM
ProtectHostname: EPERM
LockPersonality: EPERM
MemoryDenyWriteExecute: EPERM
RestrictAddressFamilies netlink: EAFNOSUPPORT
RestrictAddressFamilies inet6: works
RestrictNamespaces: EPERM
RestrictRealtime: EPERM
RestrictSUIDSGID: EPERM
SystemCallFilter @resources: EPERM
SystemCallFilter @privileged: EPERM
SystemCallFilter @debug: EPERM`

// What the unit says is in force, and a password_command works in spite of it.
func systemdHardened(t *testing.T, m *machine) {
	m.write(t, "/usr/local/bin/probe", probe, 0o755)
	m.sh(t, "touch /tmp/marker /dev/marker; cp -p /etc/postern/smarthost.toml /etc/postern/before")
	m.edit(t, `s|^password_file.*|password_command = ["/usr/local/bin/probe"]|`)
	m.sh(t, "systemctl reload postern.service")
	m.send(t, "alice", "to")
	if got := m.sh(t, "cat /var/spool/postern/probe"); got != probed {
		t.Errorf("%s\n\nwant\n%s", got, probed)
	}
	m.sh(t, "rm /var/spool/postern/probe /usr/local/bin/probe /dev/marker; mv /etc/postern/before /etc/postern/smarthost.toml; systemctl reload postern.service")

	// The figure is that of the unit as loaded, with what systemd adds.
	for _, unit := range []string{"postern.service", "postern-queue.service"} {
		got := m.as(t, "", "", "systemd-analyze", "security", "--no-pager", "--threshold=16", unit)
		if got.status != 0 {
			t.Errorf("%s: more exposed than 1.6: %s", unit, tail([]byte(got.stdout), 200))
		}
	}
	m.until(t, "journalctl -q -o cat _PID=1 | grep -i postern | grep -ci -e unknown -e ignoring -e failed.to", "0")
}

// README.md, "A fleet of containers": the service keeps mail on an SFTP server.
func systemdSFTP(t *testing.T, m *machine) {
	const section = "A fleet of containers, one drainer"
	m.sh(t, "cp -p /etc/postern/smarthost.toml /etc/postern/before; echo 127.0.0.1 spool.example.com >>/etc/hosts; ssh-keygen -A; "+
		"mkdir -p /root/fleet /run/secrets; cd /root/fleet; ssh-keygen -q -t ed25519 -N '' -f fleet\n"+readme(t, section, "```sh"))
	m.write(t, "/etc/ssh/sshd_config", read(t, "/usr/share/openssh/sshd_config")+readme(t, section, "```"), 0o644)
	m.sh(t, "install -m 600 -o postern /root/fleet/fleet /run/secrets/mailspool_key; systemctl start ssh.service; "+
		"ssh-keyscan spool.example.com 2>/dev/null >/etc/postern/known_hosts")
	text := read(t, filepath.Join(string(m.debian), "etc/postern/smarthost.toml"))
	spool := regexp.MustCompile(`(?ms)^\[spool\]\n.*?^(\[|\z)`)
	m.write(t, "/etc/postern/smarthost.toml", spool.ReplaceAllString(text, readme(t, section, "```toml")+"$1"), 0o640)
	m.edit(t, `s/^host .*/&\nport = 1/`)
	m.sh(t, "systemctl restart postern.service")
	to := mailbox(t, "to")
	if got := m.as(t, "alice", "Subject: x\n\nbody\n", "sendmail", "-i", to); got.status != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	m.until(t, "grep -l '<*"+to+"' /srv/mailspool/spool/*/* | wc -l; find /var/spool/postern/queue -type f | wc -l", "1\n0")
	m.edit(t, "/^port = 1$/d")
	m.sh(t, "systemctl reload postern.service; mailq --retry all")
	waitFor(t, to)
	m.until(t, "mailq", "Mail queue is empty")
	m.sh(t, "mv /etc/postern/before /etc/postern/smarthost.toml; rm /etc/postern/known_hosts; systemctl restart postern.service; systemctl stop ssh.service")
}

// What was enabled is there after a reboot, and so is the mail that waited.
func systemdReboot(t *testing.T, m *machine) {
	m.sh(t, "systemctl stop postern.service postern.socket")
	to := mailbox(t, "to")
	m.sh(t, "printf 'Subject: x\n\nbody\n' | sendmail -odq -i "+to)
	m.reboot(t)
	waitFor(t, to)
	m.until(t, "systemctl is-active postern.socket postern.service; stat -c '%U:%G %a' /run/postern /run/postern/submit.sock", "active\nactive\nroot:root 755\npostern:postern 666")
	m.send(t, "alice", "after")
}
