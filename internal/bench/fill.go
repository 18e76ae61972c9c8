package main

import (
	"os"
	"time"

	"postern/internal/spool"
)

// hasty is a spool's file system that syncs nothing: ten thousand messages to
// be listed need not survive a power cut.
type hasty struct{ spool.FS }

func (h hasty) SyncDir(string) error { return nil }

// Create implements spool.FS.
func (h hasty) Create(name string) (spool.File, error) {
	f, err := h.FS.Create(name)
	return hastyFile{f}, err
}

type hastyFile struct{ spool.File }

func (h hastyFile) Sync() error { return nil }

// fillSpool puts n messages into our spool.
func fillSpool(dir, input string, n int) error {
	text, err := os.ReadFile(input)
	if err != nil {
		return err
	}
	s, err := openSpool(dir)
	if err != nil {
		return err
	}
	for range n {
		if err := add(s, text); err != nil {
			return err
		}
	}
	return nil
}

// openSpool opens a spool in haste.
func openSpool(dir string) (*spool.Spool, error) {
	local, err := spool.OpenLocal(dir)
	if err != nil {
		return nil, err
	}
	return spool.Open(hasty{local}, spool.Options{Owner: "bench-1", Now: time.Now, NewID: ids()})
}

func add(s *spool.Spool, text []byte) error {
	d, err := s.Create()
	if err != nil {
		return err
	}
	defer d.Abandon()
	if _, err := d.Write(text); err != nil {
		return err
	}
	return d.Commit(&spool.State{Created: time.Now(), Sender: "app@bench.test", Recipients: []spool.Recipient{{Address: recipient}}}, time.Now())
}
