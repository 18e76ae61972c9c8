// Mailq lists the mail queue; it is sendmail under a fixed name.
package main

import (
	"os"

	"postern/internal/cli"
	_ "postern/internal/oneproc"
)

func main() {
	os.Exit(cli.Main(append([]string{"mailq"}, os.Args[min(1, len(os.Args)):]...), os.Stdin, os.Stdout, os.Stderr))
}
