// Package relay hands a message to the configured smarthosts and says what became
// of it for each recipient. It knows how a configuration becomes a connection
// and how an answer becomes an outcome; the dialogue itself is package smtp's.
//
// # A run of the queue
//
// Each connection claims a message while the one before is on the wire, and sends
// the last octet of none before it is durable what became of those that the server
// has answered on that connection. So whenever the run ends, killed or without power,
// at most the messages in flight go again: one for each connection, or its window.
// Connections share the syncing of the spool's directory; each is served by a sync
// that began after its own message was removed.
package relay
