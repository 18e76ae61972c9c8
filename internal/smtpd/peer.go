package smtpd

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// Peer is who is at the other end, as the system tells it.
type Peer struct {
	UID  int // -1 if the system does not know
	Addr string
}

// peerOf asks the kernel who opened a unix socket; what the caller says of
// itself does not matter.
func peerOf(c net.Conn) (Peer, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		p := Peer{UID: -1}
		if a := c.RemoteAddr(); a != nil {
			p.Addr = a.String()
		}
		return p, nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, failed); err != nil {
		return Peer{}, err
	}
	return Peer{UID: int(cred.Uid)}, nil
}
