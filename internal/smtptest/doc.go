// Package smtptest has smarthosts for tests and for the demonstration: a Server
// that says what a script tells it, however wrong; a Sink that is a genuine
// go-smtp server and keeps what it gets; a Proxy that delays and cuts the link
// between client and server, and counts the turnarounds. All of them listen on
// loopback only.
package smtptest
