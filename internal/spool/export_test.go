package spool

// Keeping keeps directories open, as a run does.
func (l *Local) Keeping(dirs ...string) (release func()) { return l.keepDirs(dirs...) }
