// Package spool keeps messages that wait to be sent. It is one protocol over a
// small file-system seam, FS, so that a local directory, a directory on another
// host and a simulated disk behave the same.
//
// # Layout
//
//	tmp/     <id>.<owner>                 being written, no reader looks here
//	queue/   <due>.<id>                   waiting; sorted by the time of the next try
//	active/  <due>.<id>.<lease>.<owner>   claimed by a rename, until the lease ends
//	hold/    <due>.<id>                   parked by a person
//	failed/  <due>.<id>                   undeliverable, never deleted by us
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
// # The disk
//
// What must survive a power cut is made durable by syncing the file, and then one
// directory that its name is in. That rests on a rename being one step, which
// takes its old and its new name with it, as on every file system with a journal.
// Directories are durable before anything is published: tmp/ is made last.
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
// One may object to I4 that a lease can end while its owner still works, if its
// host sleeps or a clock jumps. Then a message may go out twice, which is the
// lesser evil; it is never lost, because only the owner of the name can remove
// the file, and a file that was claimed anew has another name.
package spool
