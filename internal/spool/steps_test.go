package spool_test

import (
	"slices"
	"testing"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// What it takes to keep a message, in a spool that is there already: each step is
// paid by every caller, so that one more wants a reason.
func TestStepsOfEnqueue(t *testing.T) {
	disk := spooltest.NewDisk()
	mustOpen(t, disk, "first") // makes the directories
	steps := spooltest.NewSteps(disk, -1, spooltest.Refuse, nil)
	u := mustOpen(t, steps, "second")
	d, err := u.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abandon()
	if _, err := d.Write([]byte(message)); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(&spool.State{Created: noon, Recipients: []spool.Recipient{{Address: "a"}}}, noon); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"list .",     // are the directories there? (fstatat of each on a local directory)
		"create tmp", // I2: exclusive temp
		"write",      // the message
		"write",      // its state
		"sync", "close", "rename tmp queue", "syncdir queue",
	}
	if got := steps.Log(); !slices.Equal(got, want) {
		t.Errorf("keeping a message takes %d steps, want %d:\n%q\nwant\n%q", len(got), len(want), got, want)
	}
}
