package main

import (
	"fmt"
	"strings"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/policy"
)

const day = 24 * time.Hour

func defaultPassword() PasswordConfig { return PasswordConfig(policy.DefaultPasswordRules()) }

// Rules are the password rules.
func (p PasswordConfig) Rules() policy.PasswordRules { return policy.PasswordRules(p) }

func defaultWindows() []WindowConfig {
	var out []WindowConfig
	for _, w := range policy.DefaultWindows() {
		c := WindowConfig{
			Name: w.Name, Population: w.Population, Intake: w.Intake,
			Opens: w.Opens, Closes: w.Closes,
		}
		if w.BeforeStart > 0 {
			c.BeforeStart = asSpan(w.BeforeStart.String())
		}
		if w.StartBetween != [2]string{} {
			c.StartBetween = w.StartBetween[:]
		}
		out = append(out, c)
	}
	return out
}

// Windows are the opening windows in the order in which they are tried.
func (c *Config) Windows() policy.Windows {
	ws := make(policy.Windows, 0, len(c.Window))
	for _, w := range c.Window {
		one := policy.Window{
			Name: w.Name, Population: w.Population, Intake: w.Intake,
			Opens: w.Opens, Closes: w.Closes, BeforeStart: policy.Days(w.BeforeStart.Duration / day),
		}
		copy(one.StartBetween[:], w.StartBetween)
		ws = append(ws, one)
	}
	return ws
}

// checkWindows reports what the rules say, and what they cannot see because
// the file allows more than they do.
func (c *Config) checkWindows(e *ConfigError) {
	for i, w := range c.Window {
		key := fmt.Sprintf("window[%d].", i+1)
		e.need(len(w.StartBetween) == 0 || len(w.StartBetween) == 2, key+"start_between", "holds other than two days", `write ["08-01", "09-30"]`)
		e.need(!w.BeforeStart.bad && w.BeforeStart.Duration%day == 0, key+"before_start", fmt.Sprintf("is %q", w.BeforeStart), `use whole days, for example "30d"`)
	}
	e.rules("window", c.Windows().Validate())
}

// Rules are when accounts that nothing keeps are suspended and closed.
func (l LeavingConfig) Rules() account.LeavingRules {
	days := func(s Span) policy.Days { return policy.Days(s.Duration / day) }
	return account.LeavingRules{
		SuspendAfter: days(l.SuspendAfter), CloseAfter: days(l.CloseAfter), NeverActivated: days(l.NeverActivated),
		EraseAfter: days(l.EraseAfter),
	}
}

func (c *Config) checkLeaving(e *ConfigError) {
	l := c.Leaving
	for key, s := range map[string]Span{
		"leaving.suspend_after": l.SuspendAfter, "leaving.close_after": l.CloseAfter, "leaving.never_activated": l.NeverActivated,
		"leaving.erase_after": l.EraseAfter,
	} {
		e.need(!s.bad && s.Duration%day == 0 && s.Duration <= 3660*day, key, fmt.Sprintf("is %q", s), "use whole days, at most 3660d")
	}
	e.atLeast("leaving.suspend_after", l.SuspendAfter, day)
	e.atLeast("leaving.close_after", l.CloseAfter, day)
}

// rules takes over what package policy says of its settings: errors that begin
// with the key, many of them joined.
func (e *ConfigError) rules(section string, err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			e.rules(section, one)
		}
		return
	}
	key, text, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		key, text = section, err.Error()
	}
	e.add(Problem{Key: key, Text: text})
}
