package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/pkg/sftp"
)

const (
	osCreate = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	osWrite  = os.O_WRONLY
	osRead   = os.O_RDONLY
)

// path is a name as the server has it.
func (f *SFTP) path(name string) string { return path.Join(f.o.Dir, name) }

// furnishLater takes the directories that a spool needs. They are made when they
// turn out to be missing, so that a spool that is there costs no round trip, and
// no connection before it is needed.
func (f *SFTP) furnishLater(dirs ...string) { f.dirs = dirs }

// Mkdir implements FS.
func (f *SFTP) Mkdir(name string) error {
	_, err := f.do(func(s *session) error {
		if err := f.makeDir(s, "", 0o700); err != nil {
			return err
		}
		return f.makeDir(s, name, s.dirMode(f))
	})
	return err
}

// inDirs makes a request. If it is refused, whatever the server calls the reason,
// the directories are looked after, once for a connection, and it is made again.
func (f *SFTP) inDirs(s *session, request func() error) error {
	err := request()
	if err == nil || lost(err) || s.dirsMade.Load() {
		return err
	}
	if err := f.makeDirs(s); err != nil {
		return err
	}
	return request()
}

// makeDirs makes the directory of the spool, if its parent is there, and those in
// it, for their owner only, or for the group of a directory that the group may
// write in. A server that does not let us set modes is left to its own.
func (f *SFTP) makeDirs(s *session) error {
	if err := f.makeDir(s, "", 0o700); err != nil {
		return err
	}
	mode := s.dirMode(f)
	// The last, tmp/, is made when the others are durable, as in furnish.
	for i, names := range [][]string{f.dirs[:max(0, len(f.dirs)-1)], f.dirs[max(0, len(f.dirs)-1):]} {
		calls := []func() error{func() error { return nil }}
		for _, name := range names {
			calls = append(calls, func() error { return f.makeDir(s, name, mode) })
		}
		if err := errors.Join(together(calls...)...); err != nil {
			return err
		}
		if i == 0 {
			if err := s.syncDir(f, "."); err != nil {
				return err
			}
		}
	}
	s.dirsMade.Store(true)
	return nil
}

func (s *session) dirMode(f *SFTP) fs.FileMode {
	if s.group(f) {
		return 0o770 | fs.ModeSetgid
	}
	return 0o700
}

func (f *SFTP) makeDir(s *session, name string, mode fs.FileMode) error {
	made := s.call(func() error { return s.sftp.Mkdir(f.path(name)) })
	if made == nil {
		if err := s.call(func() error { return s.sftp.Chmod(f.path(name), mode) }); lost(err) {
			return err
		}
		return nil
	}
	var info fs.FileInfo
	err := s.call(func() (err error) { info, err = s.sftp.Lstat(f.path(name)); return err })
	switch {
	case lost(err):
		return err
	case err != nil:
		return &fs.PathError{Op: "mkdir", Path: f.path(name), Err: fmt.Errorf("%w (is its parent there, and may the user write in it?)", made)}
	case !info.IsDir() && name != "": // the spool itself may be a link
		return &fs.PathError{Op: "mkdir", Path: f.path(name), Err: errors.New("not a directory")}
	}
	return nil
}

// group reports whether the spool is a group's, asking at first use.
func (s *session) group(f *SFTP) bool {
	s.modes.Do(func() {
		var info fs.FileInfo
		err := s.call(func() (err error) { info, err = s.sftp.Stat(f.path("")); return err })
		s.shared = err == nil && info.Mode().Perm()&0o022 == 0o020 // as in OpenLocal
	})
	return s.shared
}

// Create implements FS. A clash cannot be told from other refusals, and need not
// be: the caller takes another name.
func (f *SFTP) Create(name string) (File, error) {
	var file *sftp.File
	var from *session
	request := func(s *session) error {
		from = s
		return f.inDirs(s, func() error {
			return errors.Join(together(
				func() error {
					return s.call(func() (err error) {
						file, err = s.sftp.OpenFile(f.path(name), osCreate)
						return err
					})
				},
				func() error { s.group(f); return nil },
				func() error { return s.openDir(f, dirQueue) },
			)...)
		})
	}
	again, err := f.do(request)
	if err != nil && again && !lost(err) && !errors.Is(err, ErrInDoubt) {
		// The first attempt may have made it, and its handle is lost.
		if f.Remove(name) == nil {
			_, err = f.do(request)
		}
	}
	if err != nil {
		return nil, err
	}
	return newRemoteFile(f, from, file, name, 0), nil
}

// Append implements FS. The server is told where to write, so that a line can be
// written again when its answer was lost.
func (f *SFTP) Append(name string) (File, error) {
	file, info, s, err := f.open(name, osWrite)
	if err != nil {
		return nil, err
	}
	return &appended{f: f, remoteFile: newRemoteFile(f, s, file, name, info.Size())}, nil
}

// Open implements FS.
func (f *SFTP) Open(name string) (Source, error) {
	file, info, s, err := f.open(name, osRead)
	if err != nil {
		return nil, err
	}
	return &remoteSource{f: f, s: s, file: file, name: name, size: info.Size()}, nil
}

// open opens a regular file, and asks in the same flight what it is.
func (f *SFTP) open(name string, flags int) (file *sftp.File, info fs.FileInfo, from *session, err error) {
	_, err = f.do(func(s *session) error {
		from = s
		errs := together(
			func() error {
				return s.call(func() (err error) { file, err = s.sftp.OpenFile(f.path(name), flags); return err })
			},
			func() error {
				return s.call(func() (err error) { info, err = s.sftp.Lstat(f.path(name)); return err })
			},
		)
		if errs[0] == nil && (errs[1] != nil || !info.Mode().IsRegular()) {
			f.forget(s, file)
		}
		return errors.Join(errs[1], errs[0]) // that it is not there, rather than "failure"
	})
	if err == nil && (!info.Mode().IsRegular() || info.Size() < 0) { // a size is what the server says
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	return file, info, from, err
}

// forget closes a file whose closing has nothing to tell.
func (f *SFTP) forget(s *session, file *sftp.File) {
	f.bg.Go(func() { _ = s.call(file.Close) })
}

// Rename implements FS. See SFTP for an answer that was lost.
func (f *SFTP) Rename(from, to string) error {
	again, err := f.insist(func(s *session) error { return s.rename(f.path(from), f.path(to)) })
	if err != nil && !lost(err) && !errors.Is(err, ErrInDoubt) {
		err = f.look(from, to, again, err)
	}
	return errors.Join(err, f.afterClose(from))
}

func (s *session) rename(from, to string) error {
	return s.call(func() error {
		if s.posix {
			return s.sftp.PosixRename(from, to)
		}
		return s.sftp.Rename(from, to)
	})
}

// look finds out what a rename that failed means.
func (f *SFTP) look(from, to string, again bool, failure error) error {
	there := func(name string) (bool, error) {
		_, err := f.stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	old, err := there(from)
	if err != nil {
		return errors.Join(failure, err)
	}
	if old { // the directory may be missing
		_, err := f.do(func(s *session) error {
			if err := f.makeDirs(s); err != nil {
				return err
			}
			return s.rename(f.path(from), f.path(to))
		})
		return err
	}
	if !again {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	done, err := there(to)
	switch {
	case err != nil:
		return errors.Join(ErrInDoubt, failure, err)
	case done:
		return nil
	}
	return fmt.Errorf("rename %s: %w", from, ErrGone)
}

func (f *SFTP) stat(name string) (info fs.FileInfo, err error) {
	_, err = f.do(func(s *session) error {
		return s.call(func() (err error) { info, err = s.sftp.Lstat(f.path(name)); return err })
	})
	return info, err
}

// afterClose is what closing a synced file had to tell.
func (f *SFTP) afterClose(name string) error {
	result, ok := f.closing.LoadAndDelete(name)
	if !ok {
		return nil
	}
	return <-result.(chan error)
}

// Remove implements FS.
func (f *SFTP) Remove(name string) error {
	f.closing.Delete(name)
	again, err := f.do(func(s *session) error {
		return s.call(func() error { return s.sftp.Remove(f.path(name)) })
	})
	if again && errors.Is(err, fs.ErrNotExist) {
		return nil // the first attempt did it
	}
	return err
}

// List implements FS. The server sends what is known of the entries along with
// their names.
func (f *SFTP) List(dir string) ([]fs.DirEntry, error) {
	var infos []fs.FileInfo
	_, err := f.do(func(s *session) error {
		return f.inDirs(s, func() error { return s.list(f.path(dir), &infos) })
	})
	entries := make([]fs.DirEntry, len(infos))
	for i, info := range infos {
		entries[i] = fs.FileInfoToDirEntry(info)
	}
	return entries, err
}

func (s *session) list(dir string, infos *[]fs.FileInfo) error {
	const packets = 10 // a large directory takes more than one answer
	return s.callWithin(packets*s.timeout, func() (err error) {
		*infos, err = s.sftp.ReadDir(dir)
		return err
	})
}

// SyncDir implements FS, where the server can do that.
func (f *SFTP) SyncDir(dir string) error {
	_, err := f.insist(func(s *session) error { return s.syncDir(f, dir) })
	return err
}

func (s *session) syncDir(f *SFTP, dir string) error {
	if err := s.openDir(f, dir); err != nil {
		return err
	}
	s.mu.Lock()
	d := s.handles[dir]
	s.mu.Unlock()
	if d == nil {
		return nil // Weaker tells
	}
	return s.call(d.Sync)
}

// openDir opens a directory as a file, so that it can be synced. That a server
// cannot do so is no error.
func (s *session) openDir(f *SFTP, dir string) error {
	s.mu.Lock()
	_, known := s.handles[dir]
	s.mu.Unlock()
	if known || !s.fsync {
		return nil
	}
	var d *sftp.File
	err := s.call(func() (err error) { d, err = s.sftp.OpenFile(f.path(dir), osRead); return err })
	if lost(err) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it will be made
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handles[dir] = d // nil if it was refused
	return nil
}
