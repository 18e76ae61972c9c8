package health

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// logName is the file where a process that has seen nothing but success adds a
// line: "when sent queued", the time in nanoseconds since 1970. To write the
// state anew costs a fifth of what it takes to queue a message; whoever writes it
// next counts the lines in and takes them out. The file is also what processes
// lock: shared to add a line, alone to write the state.
const logName = "health.log"

// maxLog is how long the log may get before it is counted in.
const maxLog = 16 << 10

// plain reports that a line says all that is in s.
func (s *State) plain() bool {
	return s.Deferred == 0 && s.Failed == 0 && s.LastError.IsZero() && s.Queue.At.IsZero()
}

// note adds s, which is plain, as a line to the log. It is false if that cannot be
// done, or if the state is to be written for once.
func (s *State) note(dir string, now time.Time) bool {
	fd, err := unix.Open(filepath.Join(dir, logName), unix.O_WRONLY|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	// What was written counts, and the lock ends in any case.
	defer func() { _ = unix.Close(fd) }()
	if unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) != nil {
		return false
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || !ours(&st) || st.Size >= maxLog {
		return false
	}
	line := strconv.AppendInt(nil, now.UnixNano(), 10)
	line = strconv.AppendInt(append(line, ' '), s.Sent, 10)
	line = strconv.AppendInt(append(line, ' '), s.Queued, 10)
	line = append(line, '\n')
	n, err := unix.Write(fd, line)
	return err == nil && n == len(line) // a piece of a line is no line
}

// ours reports whether a file is one that we made: no pipe, and not another name
// of somebody's file, of which we would cut off what is in it.
func ours(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1 }

// count adds the lines of the log to s. A line that is none counts for nothing.
func (s *State) count(log []byte) {
	for line := range bytes.Lines(log) {
		word := strings.Fields(string(line))
		if len(word) != 3 || !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		var n State
		at, err1 := strconv.ParseUint(word[0], 10, 63)
		sent, err2 := strconv.ParseUint(word[1], 10, 31)
		queued, err3 := strconv.ParseUint(word[2], 10, 31)
		if errors.Join(err1, err2, err3) != nil {
			continue
		}
		n.Since, n.Sent, n.Queued = time.Unix(0, int64(at)), int64(sent), int64(queued)
		if n.Sent > 0 {
			n.LastSuccess = n.Since
		}
		s.add(&n)
	}
}

// openLog opens the log and locks it.
func openLog(dir string, flags, how int) (*os.File, error) {
	name := filepath.Join(dir, logName)
	f, err := os.OpenFile(name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o660)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || !ours(&st) {
		return nil, errors.Join(fmt.Errorf("%s is not a file of ours", name), err, f.Close())
	}
	if err := await(f, how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// await takes a lock, which ends with the process at the latest.
func await(f *os.File, how int) error {
	const step = 5 * time.Millisecond
	for waited := time.Duration(0); ; waited += step {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return err
		}
		if waited >= patience {
			return errBusy
		}
		<-time.After(step)
	}
}

// alone opens the log for who writes the state.
func alone(dir string) (*os.File, error) {
	f, err := openLog(dir, os.O_RDWR|os.O_CREATE, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o022 == 0o020 {
		// The umask may have taken the group's rights. It fails for a file of
		// somebody else, who has done it.
		_ = f.Chmod(0o660)
	}
	return f, nil
}

// read is the state with what the log has since.
func read(dir string, log io.Reader) (*State, error) {
	s := written(dir)
	text, err := io.ReadAll(io.LimitReader(log, 2*maxLog))
	if err != nil {
		return nil, err
	}
	s.count(text)
	return s, nil
}
