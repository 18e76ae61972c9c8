// Package aliases reads an alias file (aliases(5)) and replaces local names by
// the addresses that stand for them.
//
// The file is read as other packages write it: "name: target, target", with
// comments, continuation lines, quoted names and targets, :include: lists, a "*"
// for all names without an entry, and owner-NAME for the envelope sender of NAME.
// A target is an address. Programs, files and :fail: texts are understood, so
// that one of them does not spoil the rest of a file, but mail for them is
// refused: nothing is ever run, and nothing but lists is ever opened.
//
// Parsing and expanding are pure; Open and List, the edge, read files. Expanding
// always ends: no name is expanded twice for one message, and loops are reported.
package aliases
