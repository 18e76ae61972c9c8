// Sendmail is a drop-in for /usr/sbin/sendmail that relays to a smarthost.
package main

import (
	"os"

	"postern/internal/cli"
	_ "postern/internal/oneproc"
)

func main() { os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
