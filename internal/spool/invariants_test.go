package spool_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// The crash and fault suites assert I1, I3, I4 and I7 at each step. Here are the
// others, and what no single step shows.

// I2: publication is exclusive temp, write, sync, close, rename, sync directory,
// and an error of any of them is an error of the whole.
func TestI2Publication(t *testing.T) {
	f := spooltest.NewDisk()
	mustOpen(t, f, "worker")
	want := []string{"create tmp", "write", "write", "write", "sync", "close", "rename tmp queue", "syncdir queue"}
	steps := spooltest.NewSteps(f, -1, spooltest.Refuse, nil)
	u := mustOpen(t, steps, "worker")
	opened := len(steps.Log())
	if err := published(u); err != nil {
		t.Fatal(err)
	}
	if got := steps.Log()[opened:]; !slices.Equal(got, want) {
		t.Errorf("steps %q", got)
	}
	for n, step := range want {
		for _, kind := range []spooltest.Kind{spooltest.Refuse, spooltest.Half, spooltest.Late} {
			if step == "create tmp" && kind != spooltest.Late {
				continue // another name is tried
			}
			u := mustOpen(t, spooltest.NewSteps(spooltest.NewDisk(), n+8, kind, syscall.EIO), "worker")
			if err := published(u); step != "create tmp" && !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: %v: got %v", step, kind, err)
			}
		}
	}
}

// I3: a file that is not what was written is never given out as if it were.
func TestI3Damage(t *testing.T) {
	whole := stored(t)
	end := strings.LastIndex(whole, "\npostern") + 1 // of the message
	tests := []struct {
		why    string
		change func(s string) string
		want   string
	}{
		{"untouched", func(s string) string { return s }, "queue a,b"},
		{"cut within the message", func(s string) string { return s[:20] }, "damaged"},
		{"cut at the end of the message", func(s string) string { return s[:end] }, "damaged"},
		{"cut within the state", func(s string) string { return s[:len(s)-10] }, "damaged"},
		{"cut before the last line end", func(s string) string { return s[:len(s)-1] }, "damaged"},
		{"empty", func(string) string { return "" }, "damaged"},
		{"an octet of the message changed", func(s string) string { return "s" + s[1:] }, "not whole"},
		{"an octet of the state changed", func(s string) string { return strings.Replace(s, "s@x", "t@x", 1) }, "damaged"},
		{"an octet lost", func(s string) string { return s[1:] }, "damaged"},
		{"an octet too many", func(s string) string { return "x" + s }, "not whole"},
		{"the state of another message", func(s string) string { return s + strings.Replace(s[end:], "id0000000001", "id0000000002", 1) }, "queue a,b"},
		{"zeros behind", func(s string) string { return s + strings.Repeat("\x00", 5000) }, "queue a,b"},
		{"a torn line behind", func(s string) string { return s + s[end:len(s)-30] }, "queue a,b"},
		{"a hundred torn lines behind", func(s string) string { return s + strings.Repeat(s[end:len(s)-30]+"\n", 100) }, "queue a,b"},
		{"of a later version", func(s string) string { return s[:end] + strings.Replace(s[end:], "postern 1 ", "postern 2 ", 1) }, "later version"},
	}
	everywhere(t, func(t *testing.T, fresh func(*testing.T) spool.FS) {
		for _, test := range tests {
			f := fresh(t)
			u := mustOpen(t, f, "worker")
			put(t, f, "queue/1764000000.id0000000001", test.change(whole))
			got, err := u.look()
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got+" ", test.want) {
				t.Errorf("%s: %q", test.why, got)
			}
			if strings.HasPrefix(test.want, "queue") || test.want == "not whole" {
				continue
			}
			// It is moved where a person finds it, as it is, and reported.
			if _, err := u.claim(); err == nil || !strings.Contains(err.Error(), "id0000000001: ") {
				t.Errorf("%s: claim: %v", test.why, err)
			}
			if got := text(t, f, "failed/1764000000.id0000000001"); got != test.change(whole) {
				t.Errorf("%s: changed by the move: %q", test.why, got)
			}
		}
	})
}

// stored is a message as it lies in a file.
func stored(t *testing.T) string {
	t.Helper()
	f := spooltest.NewDisk()
	if err := published(mustOpen(t, f, "worker")); err != nil {
		t.Fatal(err)
	}
	return text(t, f, "queue/"+names(t, f, "queue")[0])
}

// A message is refused under a name that its own reader would not take for ours.
func TestI6OwnNames(t *testing.T) {
	u := mustOpen(t, spooltest.NewDisk(), "worker")
	for _, id := range []string{"short", "id00000000012", "ID0000000001", "id000000000.", "../../../../x"} {
		if d, err := u.CreateAs(id); err == nil {
			d.Abandon()
			t.Errorf("%q was taken", id)
		}
	}
	for _, owner := range []spool.Owner{"", "UPPER", "a.b", "a/b", spool.Owner(strings.Repeat("x", 81))} {
		if _, err := open(spooltest.NewDisk(), owner); err == nil {
			t.Errorf("owner %q was taken", owner)
		}
	}
}

// A message need not end with a line, nor have any.
func TestI3AnyMessage(t *testing.T) {
	for _, message := range []string{"", "x", "\n", "x\r\n", "x\r", "\x00", "postern 1 ", strings.Repeat("x", 10_000)} {
		u := mustOpen(t, spooltest.NewDisk(), "worker")
		d, err := u.Create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(d, message); err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(&spool.State{Sender: "s@x"}, u.now); err != nil {
			t.Fatal(err)
		}
		c, err := u.claim()
		if err != nil {
			t.Fatalf("%.20q: %v", message, err)
		}
		r, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || string(got) != message {
			t.Errorf("%.20q came back as %.20q, %v", message, got, err)
		}
	}
}

// A message that is found out to be damaged while it is sent ends with an error
// before its last octet is given out.
func TestI3Checksum(t *testing.T) {
	whole := stored(t)
	f := spooltest.NewDisk()
	u := mustOpen(t, f, "worker")
	put(t, f, "queue/1764000000.id0000000001", "s"+whole[1:])
	c, err := u.claim()
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 7, len(message) - 1, len(message), 4096} {
		r, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, buf := 0, make([]byte, size)
		for err == nil {
			var n int
			n, err = r.Read(buf)
			got += n
		}
		if !errors.Is(err, spool.ErrDamaged) || got >= len(message) {
			t.Errorf("by %d: %d of %d octets, then %v", size, got, len(message), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// I6: what is not ours is reported, and is there afterwards as it was.
func TestI6Strangers(t *testing.T) {
	strange := []string{"README", "1764000000.ID0000000001", "1764000000.id000000001", "176400000.id0000000001", "1764000000.id0000000001.x.y",
		"-764000000.id0000000001", "+764000000.id0000000001", "1764000000.id0000000001~", ".1764000000.id0000000001", "1764000000.id00000000\n1",
		"1764000000.id0000000001.1764000000.UPPER", "x", "1764000000.id00000000é"}
	everywhere(t, func(t *testing.T, fresh func(*testing.T) spool.FS) {
		f := fresh(t)
		u := mustOpen(t, f, "worker")
		planted := 0
		for _, dir := range []string{"tmp", "queue", "active", "hold", "failed"} {
			for _, name := range strange {
				put(t, f, dir+"/"+name, "mine")
				planted++
			}
			if err := f.Mkdir(dir + "/1764000000.id0000000009"); err != nil {
				t.Fatal(err)
			}
		}
		all, strangers, err := u.All()
		if err != nil || len(all) != 0 || len(strangers) != 4*(len(strange)+1) {
			t.Errorf("found %v, %d strangers, %v", all, len(strangers), err)
		}
		if err := published(u); err != nil {
			t.Fatal(err)
		}
		later := mustOpen(t, f, "later", "worker", "x")
		if _, err := later.Recover(); err != nil {
			t.Error(err)
		}
		c, err := later.claim()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Finish(); err != nil {
			t.Error(err)
		}
		for _, dir := range []string{"tmp", "queue", "active", "hold", "failed"} {
			for _, name := range strange {
				if text(t, f, dir+"/"+name) != "mine" {
					t.Errorf("%s/%s was changed", dir, name)
				}
				planted--
			}
		}
		if planted != 0 {
			t.Errorf("%d are not accounted for", planted)
		}
	})
}

// I8: whatever the clocks of writer and runner say, mail is kept, and its time
// comes.
func TestI8Clocks(t *testing.T) {
	clocks := map[string]time.Time{"right": noon, "1970": time.Unix(0, 0), "2106": noon.AddDate(80, 0, 0), "year 9999": time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		"an hour slow": noon.Add(-time.Hour), "an hour fast": noon.Add(time.Hour), "before 1970": time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)}
	for wrote, written := range clocks {
		for runs, running := range clocks {
			f := spooltest.NewDisk()
			disk := noon.AddDate(-3, 0, 0) // only how much time passes counts
			f.SetClock(func() time.Time { return disk })
			writer := mustOpen(t, f, "writer")
			writer.now = written
			if err := published(writer); err != nil {
				t.Fatal(err)
			}
			if _, err := writer.claim(); err != nil { // and it is not heard of again
				t.Fatal(err)
			}
			runner := mustOpen(t, f, "runner") // on another host
			runner.now = running
			waited := time.Duration(0)
			for ; due(t, runner) == nil && waited < 48*time.Hour; waited += time.Hour {
				runner.now, disk = runner.now.Add(time.Hour), disk.Add(time.Hour)
				if _, err := runner.Recover(); err != nil {
					t.Fatal(err)
				}
			}
			if waited > 2*time.Hour {
				t.Errorf("written under the clock %q, run under %q: it waited %s", wrote, runs, waited)
			}
		}
	}
}

// due is the message whose time has come.
func due(t *testing.T, u *user) *spool.Entry {
	t.Helper()
	list, _, err := u.List("queue")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if u.Due(e) {
			return &e
		}
	}
	return nil
}
