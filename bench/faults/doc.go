// Package faults kills, pauses, fills, cuts and confuses a whole installation
// while people use it, and decides from outside whether anything was lost or
// happened twice: from its own synced ledger of what was published, the
// directory, the letters that the relay accepted, the audit stream, what the
// portal answered, binds, and the logs.
//
// It must not ask the product whether all is well, nor share code with it
// beyond the types that cross the wire.
package faults
