package spool

// Old makes l do without openat2(2), as on a kernel that has none.
func (l *Local) Old() *Local {
	l.walks = false
	return l
}
