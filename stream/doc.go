// Package stream is what we use of JetStream: it declares the streams, buckets
// and durable consumers, publishes so that publishing again repeats nothing,
// keeps claims, counters and sent marks in key-value buckets, stores what is
// not due yet, and buries what cannot be handled.
//
// It knows no accounts, no letters' texts and no rules: it moves events and
// keeps keys. What an event leads to is decided by those who import it.
//
// # Three habits of the broker that shape this package
//
// A publish without an answer is neither done nor not done. Every write here is
// therefore one that may be repeated: the server refuses the second.
//
// One durable server syncs to disk once per publish, and once per atomic batch
// however many messages it holds. [Publisher] therefore commits what waits
// together; see there for what that means for callers: nothing.
//
// A schedule or a rollup header lets whoever may write one subject of a stream
// reach all of it. Streams that allow them (WAIT, MAIL, KV_sessions) have one
// trust level of writers; SECRET and the buckets claims, letters, limits and
// pins forbid rollups.
//
// # Rights
//
// docs/broker-rights.md lists the subjects each role needs. In short: only the
// admin identity declares ([Declare]); a role at run time reads configurations
// ([Drift]), pulls from durables by name, publishes, acknowledges, and reads
// keys from the leader with $JS.API.STREAM.MSG.GET. The worker alone also
// creates consumers, on WAIT and for "wait.letter.>" only ([Waiting]).
package stream
