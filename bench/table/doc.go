// Package table measures what the system exists for, side by side with what
// people would use instead and with the machine's own limit, in one run: every
// figure is durable, and beside every rate stand what it cost and what was lost,
// doubled or turned round on the way. It must not be imported, and it must not
// measure anything that is switched off in production.
package table
