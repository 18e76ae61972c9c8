// Package message holds a message between standard input and the wire.
package message
