//go:build !failpoints

package main

import (
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/mailer"
	"usn.no/matricula/policy"
	"usn.no/matricula/worker"
)

// Without the build tag "failpoints" nothing stands between the roles and
// their servers.
func watchDirectory(d account.Directory) account.Directory { return d }
func watchPasswords(p account.Passwords) account.Passwords { return p }
func watchClaims(c account.Claims) account.Claims          { return c }
func watchPublisher(p account.Publisher) account.Publisher { return p }
func watchWaiting(w account.Waiting) account.Waiting       { return w }
func watchMarks(m mailer.Marks) mailer.Marks               { return m }
func watchOrder(*worker.Worker)                            {}
func watchPINs(p account.PINs) account.PINs                { return p }
func portalWindows(ws policy.Windows) policy.Windows       { return ws }

func machineTime() time.Time { return time.Now() }
