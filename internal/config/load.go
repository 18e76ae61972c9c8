package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFile bounds smarthost.toml.
const maxFile = 64 << 10

// Source says where to look.
type Source struct {
	Explicit   string              // -C or --config; "": search
	Getenv     func(string) string // nil: no variable is set
	Privileged bool                // more rights than the caller: only System is read, and no variable
	Home       string              // the user's directory when HOME is not set
	System     string              // "": SystemPath
}

func (src Source) env(name string) string {
	if src.Getenv == nil || src.Privileged {
		return ""
	}
	return src.Getenv(name)
}

func (src Source) system() string {
	if src.System == "" {
		return SystemPath
	}
	return src.System
}

// Load reads the first of: the explicit file, $POSTERN_CONFIG, the user's file,
// the system's file, POSTERN_SMARTHOST. What it reads counts wholly: a variable
// changes nothing in a file. Its errors are of type *Error, several of them
// joined in the order of their lines, or ErrNoConfig.
func Load(src Source) (*Config, error) {
	if src.Privileged && src.Explicit != "" {
		return nil, &Error{File: src.Explicit,
			Msg: "another file cannot be chosen when running with more rights than the caller"}
	}
	path, f, err := src.find()
	if err != nil {
		return nil, err
	}
	if f == nil {
		return src.fromEnv()
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, openError(path, err)
	}
	if info.IsDir() {
		return nil, &Error{File: path, Msg: "is a directory"}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, openError(path, err)
	}
	if len(data) > maxFile {
		return nil, &Error{File: path, Msg: "is longer than 64 KiB"}
	}
	return src.parse(path, string(data), info.Mode())
}

// find opens the file that counts; none at all is no error.
func (src Source) find() (string, *os.File, error) {
	for _, named := range []struct{ path, hint string }{
		{src.Explicit, "it was named by -C or --config"},
		{src.env("POSTERN_CONFIG"), "it was named by POSTERN_CONFIG"},
	} {
		if named.path == "" {
			continue
		}
		f, err := open(named.path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, &Error{File: named.path, Msg: "does not exist", Hint: named.hint}
		}
		if err != nil {
			return "", nil, openError(named.path, err)
		}
		return named.path, f, nil
	}
	for _, path := range []string{src.userFile(), src.system()} {
		if path == "" {
			continue
		}
		f, err := open(path)
		if err == nil {
			return path, f, nil
		}
		if !src.absent(path, err) {
			return "", nil, openError(path, err)
		}
	}
	return "", nil, nil
}

// open opens a file for reading. The library would make ready to wait for it, and
// for all files to come, which is half of the calls to the kernel that reading
// the configuration takes.
func open(path string) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), path), nil
		case syscall.EINTR:
		default:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// userFile is "" when there is no user to ask.
func (src Source) userFile() string {
	if src.Privileged {
		return ""
	}
	dir := src.env("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home := src.home()
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "postern", "smarthost.toml")
}

// absent says whether to look further. A user's directory that may not be
// searched is somebody else's, left in HOME by su or sudo.
func (src Source) absent(path string, err error) bool {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return true
	}
	if path == src.system() || !errors.Is(err, fs.ErrPermission) {
		return false
	}
	_, err = os.Lstat(path)
	return err != nil
}

func openError(path string, err error) error {
	e := &Error{File: path, Msg: "cannot be read: " + plainCause(err), Err: err}
	if errors.Is(err, fs.ErrPermission) {
		e.Hint = "make it readable for the user that sends, or choose another with POSTERN_CONFIG"
	}
	return e
}

func plainCause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// parse checks the text of a file that has the mode.
func (src Source) parse(path, text string, mode fs.FileMode) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, openError(path, err)
	}
	s := &settings{cfg: defaults()}
	s.cfg.Path = path
	d := &decoder{src: src, path: path, abs: abs, mode: mode, text: strings.TrimPrefix(text, "\ufeff")}
	d.warnFile(s)
	if d.decode(s) {
		d.checkAll(s)
		d.completeSFTP(s)
		resolve(filepath.Dir(abs), &s.cfg.Aliases)
		if src.Privileged && d.writable() {
			d.fault("", "anyone can write this file", "run: chmod o-w "+d.path)
		}
	}
	if err := joinFaults(d.faults); err != nil {
		return nil, err
	}
	return &s.cfg, nil
}

// secret packs what the keys say.
func (k secretKeys) secret(d *decoder, stem string) Secret {
	names := k.names("", stem)
	if len(names) == 0 {
		return Secret{}
	}
	if k.literal != "" {
		return NewSecret(k.literal)
	}
	source := &secretSource{file: k.file, command: k.command, env: k.env,
		cleanup: d.src.Privileged, where: Error{File: d.path, Line: d.lines[names[0]], Key: names[0]}}
	if !d.src.Privileged {
		source.getenv = d.src.env
	}
	return Secret{src: source}
}

// checkPrograms keeps the caller from steering a process that has more rights
// than he has.
func (d *decoder) checkPrograms(h *hostSettings) {
	if !d.src.Privileged {
		return
	}
	for key, argv := range map[string][]string{
		"smarthost.connect_command":  h.Smarthost.ConnectCommand,
		"smarthost.password_command": h.password.command,
		"smarthost.token_command":    h.token.command,
	} {
		if len(argv) > 0 && !strings.HasPrefix(argv[0], "/") {
			d.fault(key, "the program must be given by its full path when running with more rights than the caller", "")
		}
	}
}

// Parse checks the text of a smarthost.toml that lies nowhere yet. Its errors are
// those of Load, without a file.
func Parse(text string) (*Config, error) {
	if len(text) > maxFile {
		return nil, &Error{Msg: "is longer than 64 KiB"}
	}
	return Source{}.parse("", text, 0)
}
