package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"postern/internal/importer"
)

// maxImport bounds a file of another mailer.
const maxImport = 1 << 20

// importFiles is --import: the smarthost.toml on standard output, what one has to
// know about it on standard error.
func (a *app) importFiles(o *options) int {
	if len(o.args) == 0 {
		return a.fail(exUsage, errors.New("--import: name the files, or the directory, of the other mailer"))
	}
	files, err := importSources(o.args)
	if err != nil {
		return a.fail(exNoInput, err)
	}
	result, err := importer.Import(files, importer.Options{Read: readImport, Secrets: a.keepsSecrets()})
	if err != nil {
		return a.fail(exConfig, err)
	}
	for _, n := range result.Notes {
		a.say("%s", n)
	}
	return a.print(result.Text)
}

// importSources reads the files; of a directory those with a name we know.
func importSources(names []string) (files []importer.File, err error) {
	for _, name := range names {
		inside := []string{name}
		if entries, err := os.ReadDir(name); err == nil {
			inside = nil
			for _, e := range entries {
				if importer.Known(e.Name()) {
					inside = append(inside, filepath.Join(name, e.Name()))
				}
			}
			if inside == nil {
				return nil, fmt.Errorf("%s: no file of a known mailer in it", name)
			}
		}
		for _, file := range inside {
			text, err := readImport(file)
			if err != nil {
				return nil, err
			}
			files = append(files, importer.File{Name: file, Text: text})
		}
	}
	return files, nil
}

func readImport(name string) (text string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, maxImport+1))
	if err == nil && len(data) > maxImport {
		err = fmt.Errorf("%s: larger than 1 MiB", name)
	}
	return string(data), err
}

// keepsSecrets reports that standard output is a file which only its owner and
// its group can read. Anywhere else a password would be seen, or kept.
func (a *app) keepsSecrets() bool {
	f, ok := a.out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 == 0
}
