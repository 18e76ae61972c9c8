// Package spooltest has file systems for tests of the spool and of what uses it:
// a disk in memory that forgets what was not synced, one that fails or stops at a
// chosen step, and one that does not say why something failed.
package spooltest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
	"syscall"
	"time"

	"postern/internal/spool"
)

// Disk is a file system in memory that knows what a power cut would leave.
//
// The octets of a file are durable after Sync; names are after SyncDir of a
// directory they are in. A rename is one step: after a power cut a file has its
// old name or its new one, as on any file system with a journal. What was not
// synced may be there, may be lost, or in part: see Crashes.
type Disk struct {
	mu      sync.Mutex
	live    map[string]*inode
	stable  map[string]*inode
	pending []change // to names, not durable yet
	locks   map[string]chan struct{}
	now     func() time.Time // for the times of files
}

type inode struct {
	dir          bool
	data, stable []byte
	at           time.Time // of the last writing
}

// change is a name that was given, taken away or replaced by another.
type change struct {
	from, to string // "" for none
	node     *inode
}

// NewDisk is an empty disk.
func NewDisk() *Disk {
	return &Disk{live: map[string]*inode{}, stable: map[string]*inode{}, locks: map[string]chan struct{}{}, now: time.Now}
}

// SetClock sets the clock that files get their times from.
func (d *Disk) SetClock(now func() time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = now
}

var _ spool.FS = (*Disk)(nil)

// Mkdir implements spool.FS.
func (d *Disk) Mkdir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.live[name]; n != nil {
		if !n.dir {
			return failure("mkdir", name, syscall.ENOTDIR)
		}
		return nil
	}
	d.change(change{to: name, node: &inode{dir: true}})
	return nil
}

// Create implements spool.FS.
func (d *Disk) Create(name string) (spool.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.live[name] != nil {
		return nil, failure("create", name, fs.ErrExist)
	}
	if !d.isDir(path.Dir(name)) {
		return nil, failure("create", name, fs.ErrNotExist)
	}
	n := &inode{at: d.now()}
	d.change(change{to: name, node: n})
	return &file{d, n}, nil
}

// Append implements spool.FS.
func (d *Disk) Append(name string) (spool.File, error) {
	n, err := d.file("append", name)
	if err != nil {
		return nil, err
	}
	return &file{d, n}, nil
}

// Open implements spool.FS.
func (d *Disk) Open(name string) (spool.Source, error) {
	n, err := d.file("open", name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return source{bytes.NewReader(bytes.Clone(n.data))}, nil
}

// Rename implements spool.FS.
func (d *Disk) Rename(from, to string) error {
	if _, err := d.file("rename", from); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isDir(path.Dir(to)) || d.live[from] == nil {
		return failure("rename", from, fs.ErrNotExist)
	}
	d.change(change{from: from, to: to, node: d.live[from]})
	return nil
}

// Remove implements spool.FS.
func (d *Disk) Remove(name string) error {
	if _, err := d.file("remove", name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.change(change{from: name, node: d.live[name]})
	return nil
}

// List implements spool.FS.
func (d *Disk) List(dir string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isDir(dir) {
		return nil, failure("list", dir, fs.ErrNotExist)
	}
	var list []fs.DirEntry
	for name, n := range d.live {
		if path.Dir(name) == dir {
			list = append(list, entry{path.Base(name), n.dir, n.at})
		}
	}
	return list, nil
}

// SyncDir implements spool.FS. It makes durable what concerns the directory, and
// what that depends on.
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isDir(dir) {
		return failure("sync", dir, fs.ErrNotExist)
	}
	needed := map[string]bool{}
	var now, later []change
	for _, c := range slices.Backward(d.pending) {
		if c.in(dir) || needed[c.from] || needed[c.to] {
			needed[c.from], needed[c.to] = c.from != "", c.to != ""
			now = append(now, c)
		} else {
			later = append(later, c)
		}
	}
	for _, c := range slices.Backward(now) {
		c.apply(d.stable)
	}
	slices.Reverse(later)
	d.pending = later
	return nil
}

// Lock implements spool.FS.
func (d *Disk) Lock(name string, wait bool) (func() error, bool, error) {
	d.mu.Lock()
	if d.locks[name] == nil {
		d.locks[name] = make(chan struct{}, 1)
	}
	held := d.locks[name]
	d.mu.Unlock()
	unlock := func() error { <-held; return nil }
	if wait {
		held <- struct{}{}
		return unlock, true, nil
	}
	select {
	case held <- struct{}{}:
		return unlock, true, nil
	default:
		return nil, false, nil
	}
}

// Crash is a disk after a power cut.
type Crash struct {
	Name string
	FS   spool.FS
}

// Crashes gives every disk that a power cut may leave now: with the first of the
// names that were not durable or with all of them, and with what was written and
// not synced lost, cut in the middle, full of zeros, or whole.
func (d *Disk) Crashes() (list []Crash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	tails := map[string]func(n *inode) []byte{
		"lost":  func(n *inode) []byte { return n.stable },
		"half":  func(n *inode) []byte { return n.data[:(len(n.stable)+len(n.data))/2] },
		"zeros": func(n *inode) []byte { return slices.Concat(n.stable, make([]byte, len(n.data)-len(n.stable))) },
		"whole": func(n *inode) []byte { return n.data },
	}
	for keep := range len(d.pending) + 1 {
		for _, tail := range slices.Sorted(maps.Keys(tails)) {
			list = append(list, Crash{fmt.Sprintf("power cut with %d of %d names, tails %s", keep, len(d.pending), tail),
				d.after(keep, tails[tail])})
			if !d.unsynced() {
				break // they are all the same
			}
		}
	}
	return list
}

func (d *Disk) unsynced() bool {
	for _, n := range d.live {
		if len(n.data) != len(n.stable) {
			return true
		}
	}
	return false
}

func (d *Disk) after(keep int, tail func(*inode) []byte) *Disk {
	names := maps.Clone(d.stable)
	for _, c := range d.pending[:keep] {
		c.apply(names)
	}
	out := NewDisk()
	out.now = d.now
	for name, n := range names {
		if dir := path.Dir(name); dir != "." && names[dir] == nil {
			continue // its directory was lost
		}
		c := &inode{dir: n.dir, data: bytes.Clone(tail(n)), at: n.at}
		c.stable = bytes.Clone(c.data)
		out.live[name], out.stable[name] = c, c
	}
	return out
}

func (d *Disk) isDir(name string) bool { return name == "." || d.live[name] != nil && d.live[name].dir }

func (d *Disk) file(op, name string) (*inode, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.live[name]
	if n == nil {
		return nil, failure(op, name, fs.ErrNotExist)
	}
	if n.dir {
		return nil, failure(op, name, syscall.EISDIR)
	}
	return n, nil
}

func (d *Disk) change(c change) {
	c.apply(d.live)
	d.pending = append(d.pending, c)
}

func (c change) apply(names map[string]*inode) {
	if c.from != "" && names[c.from] == c.node {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.node
	}
}

func (c change) in(dir string) bool {
	return c.from != "" && path.Dir(c.from) == dir || c.to != "" && path.Dir(c.to) == dir
}

func failure(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

type file struct {
	d *Disk
	n *inode
}

func (f *file) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.n.data, f.n.at = append(f.n.data, p...), f.d.now()
	return len(p), nil
}

func (f *file) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.n.stable = bytes.Clone(f.n.data)
	return nil
}

func (f *file) Close() error { return nil }

type source struct{ *bytes.Reader }

func (source) Close() error { return nil }

var _ io.ReaderAt = source{}

// entry implements fs.DirEntry and fs.FileInfo, as far as a spool asks.
type entry struct {
	name string
	dir  bool
	at   time.Time
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) ModTime() time.Time         { return e.at }
func (e entry) Mode() fs.FileMode          { return e.Type() }
func (e entry) Size() int64                { return 0 }
func (e entry) Sys() any                   { return nil }
func (e entry) Type() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}
