package relay

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// locked is a file system with a file that cannot be moved, and one whose message
// is read with an octet changed.
type locked struct {
	spool.FS
	fixed, damaged string // ids
}

func (l *locked) Rename(from, to string) error {
	if strings.Contains(from, l.fixed) {
		return fs.ErrPermission
	}
	return l.FS.Rename(from, to)
}

func (l *locked) Open(name string) (spool.Source, error) {
	s, err := l.FS.Open(name)
	if err == nil && strings.Contains(name, l.damaged) {
		return changed{s}, nil
	}
	return s, err
}

type changed struct{ spool.Source }

func (c changed) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Source.ReadAt(p, off)
	if off == 0 && n > 0 {
		p[0] ^= 1
	}
	return n, err
}

// What is wrong with a message of the fallback keeps neither the others nor the
// spool waiting.
func TestFetchGoesOn(t *testing.T) {
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	d, err := newDesk(t, spooltest.NewDisk(), sink.Port(), "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	put := func(to string) string {
		t.Helper()
		id, err := d.Put(context.Background(), "", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(to)}, newMessage(t, "x"), nil, 0, d.now)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	put("there@x")
	disk := spooltest.NewDisk()
	below := &locked{FS: disk, fixed: "none", damaged: "none"}
	other, err := newDesk(t, below, sink.Port(), "otherother")
	if err != nil {
		t.Fatal(err)
	}
	main, fallback := d.Spool, other.Spool
	d.Spool = fallback
	below.fixed, below.damaged = put("fixed@x"), put("damaged@x")
	put("good@x")
	d.Spool, d.Fallback = main, fallback
	if _, err := d.Run(context.Background(), RunOptions{}); err != nil {
		t.Error(err)
	}
	took, _ := tally(sink)
	if len(took) != 2 || took["there@x"] != 1 || took["good@x"] != 1 {
		t.Errorf("took %v", took)
	}
	all, _, err := fallback.All()
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range all {
		left = append(left, e.Place+" "+e.ID)
	}
	if !slices.Equal(left, []string{"queue " + below.fixed, "failed " + below.damaged}) {
		t.Errorf("left %v", left)
	}
	if !d.HasDue() { // a delivery that succeeds is to wake a run for it
		t.Error("what waits in the fallback is not seen")
	}
}

// broken is a text that tells of a failure when it is closed.
type broken struct{ io.Reader }

func (broken) Close() error { return fs.ErrClosed }

// A message is never kept and reported as not kept: what can fail comes before.
func TestKeepInAllOrNothing(t *testing.T) {
	d, err := newDesk(t, spooltest.NewDisk(), 1, "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	open := func() (io.ReadCloser, error) { return broken{strings.NewReader("Subject: x\r\n\r\n")}, nil }
	_, err = keepIn(d.Spool, "", &spool.State{Sender: "s@x"}, open, d.now)
	all, _, listed := d.Spool.All()
	if err == nil || listed != nil || len(all) != 0 {
		t.Errorf("%v, yet there are %v %v", err, all, listed)
	}
}

// A caller who is told to end has his message kept, and nothing more is done with
// his time; the next one takes along what waits.
func TestFetchEndsWithCaller(t *testing.T) {
	d, err := newDesk(t, spooltest.NewDisk(), 1, "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	other, err := newDesk(t, spooltest.NewDisk(), 1, "otherother")
	if err != nil {
		t.Fatal(err)
	}
	put := func(ctx context.Context, to string) {
		t.Helper()
		if _, err := d.Put(ctx, "", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(to)}, newMessage(t, "x"), nil, 0, d.now); err != nil {
			t.Fatal(err)
		}
	}
	main, fallback := d.Spool, other.Spool
	d.Spool = fallback
	put(t.Context(), "waits@x")
	d.Spool, d.Fallback = main, fallback
	ended, end := context.WithCancel(t.Context())
	end()
	for _, row := range []struct {
		ctx         context.Context
		kept, waits int
	}{{ended, 1, 1}, {t.Context(), 3, 0}} {
		put(row.ctx, "a@x")
		kept, _, err1 := main.All()
		waits, _, err2 := fallback.All()
		if err := errors.Join(err1, err2); err != nil || len(kept) != row.kept || len(waits) != row.waits {
			t.Errorf("%d kept and %d waiting, want %d and %d; %v", len(kept), len(waits), row.kept, row.waits, err)
		}
	}
}
