package spooltest

import (
	"errors"

	"postern/internal/spool"
)

// Blunt is a file system that says "failure" for whatever goes wrong with Create
// and Rename, as SFTP servers do.
type Blunt struct{ spool.FS }

var errFailure = errors.New("failure")

// Create implements spool.FS.
func (b Blunt) Create(name string) (spool.File, error) {
	f, err := b.FS.Create(name)
	if err != nil {
		return nil, errFailure
	}
	return f, nil
}

// Rename implements spool.FS.
func (b Blunt) Rename(from, to string) error {
	if b.FS.Rename(from, to) != nil {
		return errFailure
	}
	return nil
}

// Crashes gives what a power cut leaves, if the file system below can tell.
func (b Blunt) Crashes() (list []Crash) {
	if c, ok := b.FS.(interface{ Crashes() []Crash }); ok {
		for _, one := range c.Crashes() {
			list = append(list, Crash{one.Name, Blunt{one.FS}})
		}
	}
	return list
}
