package spooltest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// Types of packets (draft-ietf-secsh-filexfer-02).
const (
	fxVersion  = 2
	fxSetstat  = 9
	fxExtended = 200
)

const fsyncName = "fsync@openssh.com"

// tap shows each packet to the test, which may cut the connection at it.
type tap struct {
	under io.ReadWriteCloser
	s     *SFTPServer
	conn  net.Conn
	in    packets
	out   packets
	ready []byte // requests for the server
}

// packets splits a stream at the lengths in front of its packets.
type packets struct {
	mu  sync.Mutex
	buf []byte
}

func (p *packets) add(data []byte) (whole [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = append(p.buf, data...)
	for len(p.buf) >= 4 {
		n := 4 + int(binary.BigEndian.Uint32(p.buf))
		if len(p.buf) < n {
			break
		}
		whole = append(whole, bytes.Clone(p.buf[:n]))
		p.buf = p.buf[n:]
	}
	return whole
}

func (t *tap) passes(request bool, one []byte) bool {
	if t.s.Packet == nil || t.s.Packet(request, one) {
		return true
	}
	t.conn.Close()
	return false
}

// Read gives requests to the server.
func (t *tap) Read(p []byte) (int, error) {
	for len(t.ready) == 0 {
		buf := make([]byte, 64<<10)
		n, err := t.under.Read(buf)
		if err != nil {
			return 0, err
		}
		for _, one := range t.in.add(buf[:n]) {
			if !t.passes(true, one) {
				return 0, io.ErrClosedPipe
			}
			if t.s.Fsync && one[4] == fxExtended && bytes.HasPrefix(one[13:], []byte(fsyncName)) {
				one = nothing(one[5:9])
			}
			t.ready = append(t.ready, one...)
		}
	}
	n := copy(p, t.ready)
	t.ready = t.ready[n:]
	return n, nil
}

// nothing is a request that changes nothing and is answered with "ok".
func nothing(id []byte) []byte {
	one := append([]byte{0, 0, 0, 0, fxSetstat}, id...)
	one = append(one, 0, 0, 0, 1, '.', 0, 0, 0, 0)
	binary.BigEndian.PutUint32(one, uint32(len(one)-4))
	return one
}

// Write gives answers to the client.
func (t *tap) Write(p []byte) (int, error) {
	for _, one := range t.out.add(p) {
		if !t.passes(false, one) {
			return 0, io.ErrClosedPipe
		}
		if t.s.Fsync && one[4] == fxVersion {
			one = append(one, 0, 0, 0, byte(len(fsyncName)))
			one = append(one, fsyncName...)
			one = append(one, 0, 0, 0, 1, '1')
			binary.BigEndian.PutUint32(one, uint32(len(one)-4))
		}
		if _, err := t.under.Write(one); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (t *tap) Close() error { return t.under.Close() }
