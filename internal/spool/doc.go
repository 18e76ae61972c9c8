// Package spool keeps messages that wait to be sent. It is one protocol over a
// small file-system seam, FS, so that a local directory, a directory on another
// host and a simulated disk behave the same.
//
// # Layout
//
//	tmp/     <id>.<owner>                 being written, no reader looks here
//	queue/   <due>.<id>                   waiting; sorted by the time of the next try
//	active/  <due>.<id>.<owner>           claimed by a rename, until the lease ends
//	hold/    <due>.<id>                   parked by a person
//	failed/  <due>.<id>                   undeliverable, never deleted by us
//	live/    <id>.<owner>                 the last sign of life of who has claims
//
// Times are seconds since 1970 in ten digits; an id is twelve characters. An
// owner names host, process and start of the process, so that on the same host a
// dead one is known without any clock.
//
// # File
//
// The message in wire form (CRLF, not dot-stuffed), then lines of a log. Each
// line is a whole State: version, checksum of the line, JSON. The last valid
// line counts. Progress is one appended line; a torn one has no valid checksum
// and falls back to the line before; a file cut within the message has no valid
// line at all and is never sent. A line is valid only with the id that is in the
// file's name, and only behind the message whose size it tells; so the text of a
// message, which was written before the id was drawn, cannot pass for a state.
//
// # Leases
//
// An owner of this host is known to be dead or alive. Of one on another host, or
// in another container, the last sign of life counts: an empty file that it makes
// anew while it works. Its time is stamped by the host of the spool, and compared
// with that of a file made just now, so the clocks of those who share a spool may
// disagree by years, and a clock in a name would be of no use. When the sign is
// older than the lease, its claims are given back.
//
// An owner that may have been late (its host slept, the other host was away) knows
// that by its own clock, in half the time. Before it reads a message, and before
// the last octet of it is given out, it claims anew, under another name: whoever
// was about to take the old name over finds it gone, or has taken it, and then
// nothing is sent to its end. So a message goes out twice only if the lease ran
// out between its last octet and the server's answer.
//
// # The disk
//
// What must survive a power cut is made durable by syncing the file, and then one
// directory that its name is in. That rests on a rename being one step, which
// takes its old and its new name with it, as on every file system with a journal.
// Directories are durable before anything is published: tmp/ is made last. Those who
// have a directory to sync at the same time share it: each is served by a sync that
// began after its own change, so that several connections of a run cost the disk
// hardly more than one.
//
// # Invariants
//
//	I1 A message exists if and only if its complete, synced file has been renamed
//	   out of tmp/.
//	I2 Publication is: exclusive temp, write, sync, close, rename, sync directory.
//	   A close error counts.
//	I3 The octets of a message never change.
//	I4 A claim is a rename to a name that holds the claimer: exactly one of those
//	   who try finds the old name, all others get an error and go on.
//	I5 After the server's 2yz nothing turns success into failure: what cannot be
//	   written down is kept in memory, and the file is left for a person.
//	I6 A name or file that is not ours is never used as a path, sent or deleted;
//	   it is reported.
//	I7 A recipient is done only when its outcome is durable.
//	I8 Nobody needs the clock to be right to keep mail. A due time or a lease that
//	   lies too far ahead is the mark of a wrong clock and counts as passed.
//
// A claim that was taken over is never lost: only the owner of the name can remove
// the file, and a file that was claimed anew has another name.
package spool
