package spool

import (
	"errors"
	"io"
	"io/fs"
)

// ErrGone is a rename whose answer was lost and after which neither name is there:
// it was done, and somebody has renamed the file since; or somebody else was
// quicker. Who alone knew the old name knows which.
var ErrGone = errors.New("spool: the file is neither under its old name nor under its new one")

// ErrInDoubt means that the connection was lost after the request and that no new
// one could be had: the call may have been carried out.
var ErrInDoubt = errors.New("spool: the connection was lost at the last step; it may have been done")

// ErrAway means that the host of the spool cannot be reached: nothing that is tried
// next will fare better.
var ErrAway = errors.New("spool: its host cannot be reached")

// FS is what a spool asks of a file system. Names are relative to the spool,
// with slashes; the spool itself is ".". No call may follow a symbolic link in
// its last element. It is used by several goroutines at once.
type FS interface {
	// Mkdir makes a directory; one that is there is no error.
	Mkdir(name string) error
	// Create makes a file that was not there and opens it for writing. A name that
	// is taken is an error of any kind.
	Create(name string) (File, error)
	// Append opens a file that is there for writing at its end.
	Append(name string) (File, error)
	// Open opens a regular file for reading. A name that is gone is
	// fs.ErrNotExist.
	Open(name string) (Source, error)
	// Rename gives a file another name that nobody has; of several calls for the
	// same file one succeeds. It is one step also if the power fails. A name that
	// is gone is an error of any kind.
	Rename(from, to string) error
	// Remove removes a file.
	Remove(name string) error
	// List gives the entries of a directory in any order.
	List(dir string) ([]fs.DirEntry, error)
	// SyncDir makes creations, renames and removals in a directory durable, those
	// that moved a file to or from another directory too.
	SyncDir(dir string) error
	// Lock takes a lock of that name, waiting for it if asked to. ok is false if
	// somebody else has it. It ends with the process at the latest.
	Lock(name string, wait bool) (unlock func() error, ok bool, err error)
}

// File is a file being written.
type File interface {
	io.Writer
	Sync() error // the octets are on stable storage
	Close() error
}

// Source is a file being read.
type Source interface {
	io.ReaderAt
	io.Closer
	Size() int64
}
