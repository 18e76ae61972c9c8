package cli

import "runtime"

// runThreads is how many threads of a run may be in the kernel before one of them
// holds up work: one for each of some connections.
const runThreads = 6

// manyThreads is for what waits for the disk most of the time, and never for long:
// a thread that waits keeps its processor, as the runtime counts them, from others
// until the runtime has noticed, which costs as much as the waiting. With one for
// each thread there is nothing to be noticed, and the kernel divides what there is.
func manyThreads() {
	runtime.SetDefaultGOMAXPROCS()
	runtime.GOMAXPROCS(max(runThreads, runtime.GOMAXPROCS(0)))
}
