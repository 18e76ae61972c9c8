// Package oneproc makes a command that imports it begin with one processor.
//
// Most processes of ours live for 3 ms and do one thing after another: waking
// threads that find nothing to do costs them a tenth of that. It has to happen
// before other packages are initialised, since a processor is given up the
// faster, the less was allocated on it; as this package imports the runtime
// alone, it comes before all that allocate. A mode with work for more processors
// asks for them again (runtime.SetDefaultGOMAXPROCS).
package oneproc

import "runtime"

func init() { runtime.GOMAXPROCS(1) }
