package cli

import (
	"context"
	"runtime"
	"testing"
)

// What runs the queue gets more threads than a small machine has processors; what
// lists it gets as many as there are.
func TestThreads(t *testing.T) {
	defer runtime.SetDefaultGOMAXPROCS()
	runtime.SetDefaultGOMAXPROCS()
	usual := runtime.GOMAXPROCS(0)
	for m, want := range map[mode]int{modeQueueRun: max(usual, runThreads), modeService: max(usual, runThreads), modeQueueList: usual, modeSubmit: 1} {
		runtime.GOMAXPROCS(1)
		prepare(context.Background(), m)
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("mode %v: %d, want %d", m, got, want)
		}
	}
}
