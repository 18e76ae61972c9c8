// Package cli is the edge of postern: the command line, the environment, the
// user who calls, messages to people, and the exit status. Nothing else in the
// module knows the numbers of sysexits(3), the clock or the environment.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"postern/internal/config"
	"postern/internal/maillog"
	"postern/internal/relay"
)

// Exit statuses of sysexits(3).
const (
	exOK          = 0
	exUsage       = 64 // wrong options, or nobody named
	exDataErr     = 65 // bad message or address
	exNoInput     = 66 // there is no standard input
	exNoUser      = 67 // a recipient does not exist
	exNoHost      = 68 // the smarthost's name does not exist
	exUnavailable = 69 // refused for good
	exSoftware    = 70 // a fault of ours
	exOSErr       = 71
	exCantCreate  = 73 // the spool cannot be written
	exIOErr       = 74
	exTempFail    = 75 // nothing was kept, try again
	exProtocol    = 76 // what came was no SMTP
	exNoPerm      = 77 // login refused, or not allowed
	exConfig      = 78
)

// app is one run of a command.
type app struct {
	name   string // of the command, for messages
	argv   []string
	in     *os.File
	out    io.Writer
	err    io.Writer
	getenv func(string) string
	host   func() string // this host's full name
	now    func() time.Time
	log    *maillog.Logger
	// privileged is set when we run with more rights than our caller: then
	// nothing of his may choose files or read the environment.
	privileged bool
	alone      bool // the process is for this run
	figures    figures
	forgotten  []string        // the environment of the caller then
	spools     context.Context // how long spools may be used
	opened     sync.Mutex
	queues     []*relay.Queue // to be closed
}

// Main runs the command that argv[0] names and returns its exit status.
func Main(argv []string, in *os.File, out, errw io.Writer) int {
	name := "sendmail"
	if len(argv) > 0 {
		name = filepath.Base(argv[0])
	}
	a := &app{
		name: name, argv: argv, in: in, out: out, err: errw, now: time.Now,
		getenv: os.Getenv,
		host:   sync.OnceValue(fullHostname),
		alone:  true,
	}
	a.harden()
	// Most runs end before there is anything worth collecting; the others may
	// hold some megabytes more.
	debug.SetGCPercent(400)
	defer func() { a.log.Close() }()
	defer a.flushFigures()
	return a.run(context.Background())
}

// prepare makes the process fit for a mode, and gives a context that ends with a
// signal. It is not undone: the process ends after the run.
func prepare(ctx context.Context, m mode) context.Context {
	if m == modeSubmit { // see listening
		return ctx
	}
	switch m { // one processor, see oneproc, is for small work
	case modeService, modeQueueRun:
		manyThreads()
	case modeQueueList, modeDigest:
		runtime.SetDefaultGOMAXPROCS()
	}
	ctx, _ = signal.NotifyContext(ctx, signals(m)...)
	return ctx
}

// signals are those that end a run in an orderly way.
func signals(m mode) []os.Signal {
	list := heard(os.Interrupt)
	if m != modeService { // which reads its configuration again
		list = append(list, heard(syscall.SIGHUP)...)
	}
	return append(list, syscall.SIGTERM)
}

// listenAfter is how long a message may be on its way before signals are heard and
// its being on the way is logged. In a storm of callers each waits some tenths of a
// second for its turn at the smarthost, and all would wake up for that. With a spool
// they are heard sooner: there a signal has the message kept.
const (
	listenAfter = time.Second
	keepAfter   = 100 * time.Millisecond
)

// hearAfter is how long signals are not heard.
func hearAfter(cfg *config.Config) time.Duration {
	if cfg.Spool.Dir != "" {
		return keepAfter
	}
	return listenAfter
}

// linger is how long a message may be on its way before that is logged.
func (a *app) linger(o *options) time.Duration {
	if a.alone && o.mode == modeSubmit {
		return listenAfter
	}
	return 0
}

// listening gives a context for sending a message that ends with a signal. Until
// the message was read, and for a while, a signal ends the process as it ends
// any other: nothing was promised yet, and the caller knows by the status. To
// hear it takes Go two threads, a fifteenth of what a whole message costs.
func (a *app) listening(ctx context.Context, cfg *config.Config) context.Context {
	if !a.alone {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(hearAfter(cfg), func() {
		came, _ := signal.NotifyContext(ctx, signals(modeSubmit)...)
		<-came.Done()
		cancel()
	})
	return ctx
}

// heard leaves out a signal that our caller has ignored for us, as nohup and a
// shell's "&" do: it is not to end us.
func heard(s os.Signal) []os.Signal {
	if signal.Ignored(s) {
		return nil
	}
	return []os.Signal{s}
}

// run parses the command line, and does what it asks for until a signal comes.
func (a *app) run(ctx context.Context) int {
	o, err := parse(a.argv)
	if err != nil {
		if !a.asksForDialogue() {
			a.drain()
		}
		return a.fail(exUsage, err)
	}
	if o.choosesFiles() {
		if err := a.giveUpRights(); err != nil {
			return a.fail(exNoPerm, err)
		}
	}
	if a.alone {
		ctx = prepare(ctx, o.mode)
	}
	spools, end := spoolContext(ctx, o.mode)
	a.spools = spools
	defer end()
	defer a.closeQueues()
	return a.do(ctx, o)
}

// do is what the mode asks for.
func (a *app) do(ctx context.Context, o *options) int {
	switch o.mode {
	case modeHelp:
		return a.print(helpText(a.name))
	case modeVersion:
		return a.print(versionText())
	case modeAliases:
		return a.checkAliases(o)
	case modeHostStat:
		return exOK
	case modeQueueRun:
		return a.runQueue(ctx, o)
	case modeQueueCount:
		return a.queueCount(o)
	case modeQueueList:
		return a.queueList(o)
	case modeQueueAct:
		return a.queueAct(o)
	case modeSMTP:
		return a.smtpIn(ctx, o)
	case modeService:
		return a.service(ctx, o)
	case modeVerify:
		return a.verify(ctx, o)
	case modeCheck:
		return a.check(ctx, o)
	case modeDigest:
		return a.digest(ctx, o)
	case modeServerInfo:
		return a.serverInfo(ctx, o)
	case modeHealth:
		return a.health(o)
	case modeImport:
		return a.importFiles(o)
	}
	return a.submit(ctx, o)
}

// print writes to standard output.
func (a *app) print(text string) int {
	if _, err := io.WriteString(a.out, text); err != nil {
		return a.fail(exIOErr, err)
	}
	return exOK
}

// say writes one line to standard error, the command's name in front.
func (a *app) say(format string, args ...any) {
	// Nobody could be told that standard error is gone.
	_, _ = fmt.Fprintf(a.err, "%s: %s\n", a.name, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// fail says what is wrong and gives the status back.
func (a *app) fail(status int, err error) int {
	for line := range strings.Lines(err.Error()) {
		a.say("%s", strings.TrimSuffix(line, "\n"))
	}
	return status
}

// asksForDialogue reports a -b mode other than -bm: such a caller waits for us
// to speak, so its input must not be waited for. That of --digest has no end.
func (a *app) asksForDialogue() bool {
	for _, arg := range a.argv[min(1, len(a.argv)):] {
		if strings.HasPrefix(arg, "-b") && arg != "-bm" || strings.HasPrefix(arg, "--digest") {
			return true
		}
	}
	return false
}

// drain reads standard input to its end before we exit without having used it:
// many callers die of SIGPIPE otherwise. A person at a terminal is not waited
// for.
func (a *app) drain() {
	if a.in == nil {
		return
	}
	if _, err := unix.IoctlGetTermios(int(a.in.Fd()), unix.TCGETS); err == nil {
		return
	}
	// The input is not wanted, so how it ends does not matter.
	_, _ = io.Copy(io.Discard, a.in)
}

// noInput reports that there is no standard input. The Go runtime opens
// /dev/null for reading and writing where descriptor 0 is closed.
func (a *app) noInput() bool {
	if a.in == nil {
		return true
	}
	fd := int(a.in.Fd())
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return true
	}
	var st, null unix.Stat_t
	if unix.Fstat(fd, &st) != nil || unix.Stat("/dev/null", &null) != nil {
		return false
	}
	return flags&unix.O_ACCMODE == unix.O_RDWR && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == null.Rdev
}

// load reads the configuration and opens the log it names. Without a
// configuration the result is nil, with the status to end with.
func (a *app) load(o *options) (*config.Config, int) {
	cfg, err := a.configure(o)
	if err == nil {
		return cfg, exOK
	}
	if cfg, hint := a.handOver(o, err); cfg != nil {
		return cfg, exOK
	} else if hint != "" {
		a.fail(exNoPerm, err)
		return nil, a.fail(exNoPerm, errors.New(hint))
	}
	status := a.fail(exConfig, err)
	if errors.Is(err, config.ErrNoConfig) {
		a.fail(exConfig, errors.New(config.Hint()))
	}
	return nil, status
}

func (a *app) configure(o *options) (*config.Config, error) {
	cfg, err := config.Load(config.Source{Explicit: o.config, Getenv: a.getenv, Privileged: a.privileged})
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		a.say("warning: %s", w)
	}
	tag := "postern/" + a.name
	if o.logTag != "" {
		tag = o.logTag
	}
	host, _ := os.Hostname() // the log can do without
	a.log = maillog.Open(maillog.Options{To: cfg.Log.To, Format: cfg.Log.Format, Tag: tag, Host: host,
		PID: os.Getpid(), Now: a.now, Stderr: a.err, Linger: a.linger(o)})
	a.openFigures(cfg)
	return cfg, nil
}
