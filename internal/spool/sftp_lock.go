package spool

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

func fileMode(group bool) fs.FileMode {
	if group {
		return 0o660
	}
	return 0o600
}

// Lock implements FS among the processes of this host and user. A lock on the
// server would have to be taken from the dead, by the clock; and none is needed,
// since claims keep runners of several hosts apart. So this one only saves
// connections, and without a safe place for it there is none.
func (f *SFTP) Lock(name string, wait bool) (unlock func() error, ok bool, err error) {
	none := func() error { return nil }
	if f.o.LockDir == "" {
		return none, true, nil
	}
	local, err := ownDir(f.o.LockDir)
	if err != nil {
		return none, true, nil
	}
	sum := sha256.Sum256([]byte(f.o.User + "\n" + f.o.address() + "\n" + f.o.Dir))
	unlock, ok, err = local.Lock(hex.EncodeToString(sum[:8])+"."+name, wait)
	return unlock, ok, errors.Join(err, local.Close())
}

// ownDir opens a directory that is nobody else's, as it may lie in one that all
// can write in. It is made if need be.
func ownDir(dir string) (*Local, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	l, err := OpenLocal(dir)
	if err != nil {
		return nil, err
	}
	st, err := l.stat()
	if err == nil && (int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0) {
		err = fmt.Errorf("%s belongs to somebody else", dir)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
