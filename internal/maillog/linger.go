package maillog

import "time"

// lingering is a line that waits for the next one. To wake the daemon in the midst
// of sending costs a short run more than the line itself.
type lingering struct {
	line  string
	timer *time.Timer // nil if no line waits
}

// linger writes a line, after Options.Linger at the latest; mu is held.
func (l *Logger) linger(line string) {
	if l.o.Linger <= 0 {
		l.put(levelInfo, []byte(line))
		return
	}
	l.catchUp()
	l.late.line = line
	l.late.timer = time.AfterFunc(l.o.Linger, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.catchUp()
	})
}

// catchUp writes the line that waits, if one does; mu is held.
func (l *Logger) catchUp() {
	if l.late.timer == nil {
		return
	}
	l.late.timer.Stop()
	l.late.timer = nil
	l.note(l.to.write(levelInfo, []byte(l.late.line)))
}
