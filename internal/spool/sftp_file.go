package spool

import (
	"errors"
	"io"
	"sync"

	"github.com/pkg/sftp"
)

const (
	chunk     = 32 << 10  // octets in a request, which every server takes
	inFlight  = 16        // requests of a file that wait for their answer
	readAhead = 512 << 10 // octets asked for together
)

// remoteFile is a file being written. Its octets go out while the caller goes on,
// at most inFlight chunks ahead of what the server has confirmed.
type remoteFile struct {
	f      *SFTP
	s      *session
	file   *sftp.File
	name   string
	at     int64
	buf    []byte
	slots  chan struct{}
	wg     sync.WaitGroup
	synced bool

	mu  sync.Mutex
	err error // the first
}

func newRemoteFile(f *SFTP, s *session, file *sftp.File, name string, at int64) *remoteFile {
	w := &remoteFile{f: f, s: s, file: file, name: name, at: at, slots: make(chan struct{}, inFlight)}
	if at == 0 {
		mode := fileMode(s.shared)
		w.send(func() error {
			if err := s.call(func() error { return file.Chmod(mode) }); lost(err) {
				return err
			}
			return nil // the directory keeps others out
		})
	}
	return w
}

// send makes a request in the background.
func (w *remoteFile) send(request func() error) {
	w.slots <- struct{}{}
	w.wg.Go(func() {
		err := request()
		w.mu.Lock()
		if w.err == nil {
			w.err = err
		}
		w.mu.Unlock()
		<-w.slots
	})
}

func (w *remoteFile) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Write implements io.Writer. An error may be that of an earlier call.
func (w *remoteFile) Write(p []byte) (int, error) {
	w.synced = false
	for n := 0; ; {
		if err := w.failure(); err != nil {
			return n, err
		}
		take := min(len(p)-n, chunk-len(w.buf))
		if w.buf == nil {
			w.buf = make([]byte, 0, chunk)
		}
		w.buf = append(w.buf, p[n:n+take]...)
		n += take
		if len(w.buf) == chunk {
			w.flush()
		}
		if n == len(p) {
			return n, nil
		}
	}
}

func (w *remoteFile) flush() {
	if len(w.buf) == 0 {
		return
	}
	octets, at := w.buf, w.at
	w.at, w.buf = w.at+int64(len(octets)), nil
	w.send(func() error {
		return w.s.call(func() error { _, err := w.file.WriteAt(octets, at); return err })
	})
}

// wait waits for the answers to all that was sent.
func (w *remoteFile) wait() error {
	w.flush()
	w.wg.Wait()
	return w.failure()
}

// Sync implements File, as far as the server can.
func (w *remoteFile) Sync() error {
	if err := w.wait(); err != nil {
		return err
	}
	if w.s.fsync {
		if err := w.s.call(w.file.Sync); err != nil {
			return err
		}
		w.synced = true
	}
	return nil
}

// Close implements File. Of a synced file the answer is not waited for: a rename
// has it.
func (w *remoteFile) Close() error {
	err := w.wait()
	if err != nil || !w.synced {
		return errors.Join(err, w.s.call(w.file.Close))
	}
	result := make(chan error, 1)
	w.f.closing.Store(w.name, result)
	w.f.bg.Go(func() {
		err := w.s.call(w.file.Close)
		if lost(err) { // the server has closed it then
			err = nil
		}
		result <- err
	})
	return nil
}

// appended is a file that a few octets are added to. They are kept until they are
// on stable storage, so that they can be written once more, to the same place,
// when the connection is lost.
type appended struct {
	f *SFTP
	*remoteFile
	start int64
	text  []byte
}

// Write implements io.Writer.
func (a *appended) Write(p []byte) (int, error) {
	if a.text == nil {
		a.start = a.at
	}
	a.text = append(a.text, p...)
	return a.remoteFile.Write(p)
}

// Sync implements File.
func (a *appended) Sync() error { return a.sure(a.remoteFile.Sync()) }

// Close implements File.
func (a *appended) Close() error {
	err := a.sure(a.wait())
	if err == nil && !a.synced {
		if err = a.s.call(a.file.Close); !lost(err) {
			return err
		}
		err = a.sure(err)
	}
	a.f.forget(a.s, a.file) // it is on stable storage, or not to be had
	return err
}

// sure writes again what was lost on the way.
func (a *appended) sure(err error) error {
	if !lost(err) {
		return err
	}
	a.f.drop(a.s)
	file, _, s, err := a.f.open(a.name, osWrite)
	if err != nil {
		return err
	}
	a.remoteFile = newRemoteFile(a.f, s, file, a.name, a.start)
	if _, err := a.remoteFile.Write(a.text); err != nil {
		return err
	}
	return a.remoteFile.Sync()
}

// remoteSource is a file being read, some way ahead of the reader.
type remoteSource struct {
	f    *SFTP
	name string
	size int64

	mu   sync.Mutex
	s    *session
	file *sftp.File
	buf  []byte // what lies at from
	from int64
}

// Size implements Source.
func (r *remoteSource) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt. The whole of a small file is fetched at once.
func (r *remoteSource) ReadAt(p []byte, off int64) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) {
		if off+int64(n) >= r.size {
			return n, io.EOF
		}
		if at := off + int64(n) - r.from; at < 0 || at >= int64(len(r.buf)) {
			if err := r.fill(off + int64(n)); err != nil {
				return n, err
			}
		}
		n += copy(p[n:], r.buf[off+int64(n)-r.from:])
	}
	return n, nil
}

// fill fetches what lies at off, over a new connection if need be.
func (r *remoteSource) fill(off int64) error {
	if r.size <= chunk {
		off = 0
	}
	want := min(readAhead, r.size-off)
	if int64(cap(r.buf)) < want {
		r.buf = make([]byte, want)
	}
	r.buf, r.from = r.buf[:want], off
	read := func() error {
		return r.s.call(func() error { _, err := io.ReadFull(io.NewSectionReader(r.file, off, want), r.buf); return err })
	}
	err := read()
	if lost(err) {
		r.f.drop(r.s)
		if r.file, _, r.s, err = r.f.open(r.name, osRead); err == nil {
			err = read()
		}
	}
	if err != nil {
		r.buf = r.buf[:0]
		if err == io.EOF { // it is shorter than it was
			err = io.ErrUnexpectedEOF
		}
	}
	return err
}

// Close implements io.Closer.
func (r *remoteSource) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		r.f.forget(r.s, r.file)
		r.file = nil
	}
	return nil
}
