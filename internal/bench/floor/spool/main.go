// Spool is the least that keeping a message takes in Go: the file is synced,
// renamed, and the directory synced, as ours does it, and nothing else is linked or
// read. "make bench" measures against it.
//
//	spool directory <message
package main

import (
	"errors"
	"io"
	"os"
	"strconv"
)

func main() {
	if err := keep(os.Args[1]); err != nil {
		os.Stderr.WriteString("spool: " + err.Error() + "\n")
		os.Exit(75)
	}
}

func keep(dir string) error {
	pid := strconv.Itoa(os.Getpid())
	tmp, name := dir+"/tmp."+pid, dir+"/new."+pid
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
