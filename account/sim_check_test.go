package account_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// maxSkew is how far the clocks of the processes stand from true time, either
// way. The window holds exactly by the clock of the portal that decides, so by
// true time it opens at most this much early or late.
const maxSkew = time.Second

// decided holds a write that set a password, or took one away, against the
// rules of the click and of IT's word.
func (s *sim) decided(was, now version) {
	if e, ok := s.town.event(now.cause); ok {
		if _, word := e.Data.(events.PasswordCompromised); word && was.PasswordSince.After(e.Time.Add(2*maxSkew)) && now.State != was.State {
			s.violation("I10", "word of %s took away the password %s has since %s", e.Time, now.Username, was.PasswordSince)
		}
	}
	if now.password == "" || now.password == was.password {
		return
	}
	spent := 0
	for _, inv := range was.Invitations {
		if !slices.ContainsFunc(now.Unsent, func(f account.Fact) bool { return f.Invitation == inv.ID }) {
			continue
		}
		spent++
		if s.spent[inv.ID]++; s.spent[inv.ID] > 1 {
			s.violation("I9", "an invitation of %s was spent twice", now.Username)
		}
		if !now.PasswordSince.Before(inv.Expires) {
			s.violation("I9", "an invitation of %s that ended %s was spent at %s by the portal's clock", now.Username, inv.Expires, now.PasswordSince)
		}
		if inv.Purpose == account.PurposeActivate {
			s.window(was, now)
		}
	}
	if spent != 1 {
		s.violation("I9", "a password of %s was set with %d invitations", now.Username, spent)
	}
	if was.State == account.Suspended && was.Why.Reason != account.WhyCompromised || was.State == account.Closed {
		s.violation("I7", "a password was set on the %s account %s", was.State, now.Username)
	}
}

// window holds an activation against the opening of the person's roles.
func (s *sim) window(was, now version) {
	var opens time.Time
	for i, r := range was.Roles {
		at := time.Time{} // employees at once
		if r.Kind == account.Student {
			at = openingOf(r.Start)
		}
		if i == 0 || at.Before(opens) {
			opens = at
		}
	}
	if now.PasswordSince.Before(opens) {
		s.violation("I8", "%s was activated at %s by the portal's clock, the window opens %s", now.Username, now.PasswordSince, opens)
	}
	if now.at.Before(opens.Add(-maxSkew)) {
		s.violation("I8", "%s was activated at %s, the window opens %s", now.Username, now.at, opens)
	}
}

// event finds what a source or IT published by its ID.
func (t *town) event(id string) (events.Event, bool) {
	for _, e := range t.told {
		if e.ID == id {
			return e, true
		}
	}
	return events.Event{}, false
}

// check holds the state of rest against every invariant.
func (s *sim) check() {
	s.checkIntake()
	s.checkPeople()
	s.checkFacts()
	s.checkLetters()
	s.checkClicks()
}

// checkIntake: every event was handled, and none of these is a dead letter.
func (s *sim) checkIntake() {
	for p, n := range s.pub.heads() {
		if n > 0 {
			s.violation("I1", "partition %d keeps %d messages", p, n)
		}
	}
	for _, d := range s.pub.dead {
		s.violation("I1", "event %s became a dead letter: %v", d.id, d.Error())
	}
}

// checkPeople: one entry for each person who was told of, none for anybody
// else, and each is the fold of what was told.
func (s *sim) checkPeople() {
	owner := map[string]string{}
	belongs := func(what, id string) {
		if o, ok := owner[what]; ok && o != id {
			s.violation("I2", "%s belongs to two accounts", what)
		}
		owner[what] = id
	}
	whose := map[*entry]*person{}
	for _, p := range s.town.persons {
		var found *entry
		for _, so := range p.sources {
			handle := s.lives[0].Identity.SourceHandle(so.urn, so.key)
			for _, e := range s.dir.entries {
				if !slices.Contains(e.Handles, handle) {
					continue
				}
				if found != nil && found != e {
					s.violation("I2", "person %s has two accounts, %s and %s", so.key, found.Username, e.Username)
				}
				found = e
			}
		}
		if found != nil {
			whose[found] = p
			s.checkFold(p, found)
		} else if slices.ContainsFunc(p.sources, func(so *source) bool { return so.registered }) {
			s.violation("I1", "person %s has no account", p.sources[0].key)
		}
	}
	for _, e := range s.dir.entries {
		if whose[e] == nil {
			s.violation("I3", "entry %s belongs to nobody", e.Username)
		}
		belongs("username "+e.Username, e.ID)
		for _, n := range e.Numbers {
			belongs(n.Type+" number "+n.Value, e.ID)
		}
		for _, h := range e.Handles {
			belongs("handle "+h, e.ID)
		}
	}
}

// told is one full state and when it was recorded.
type told struct {
	at       time.Time
	urn, key string
	name     account.Name
	address  string
	mobile   string
	ids      []events.Identifier
	kind     string
	start    string
}

func (p *person) told(t *town) (out []told) {
	for _, e := range t.told {
		if !slices.ContainsFunc(p.sources, func(so *source) bool { return so.urn == e.Source && so.key == e.Meta.Subject }) {
			continue
		}
		o := told{at: e.Time, urn: e.Source, key: e.Meta.Subject}
		student := func(d events.Student) {
			o.name, o.address, o.mobile, o.ids = account.Name(d.Name), d.Contact.Email, d.Contact.Mobile, d.Identifiers
			o.kind, o.start = account.Student, d.Programmes[0].Start
		}
		employee := func(d events.Employee) {
			o.name, o.address, o.mobile, o.ids = account.Name(d.Name), d.Contact.Email, d.Contact.Mobile, d.Identifiers
			o.kind, o.start = account.Employee, d.Employments[0].Start
		}
		switch d := e.Data.(type) {
		case events.StudentRegistered:
			student(d.Student)
		case events.StudentUpdated:
			student(d.Student)
		case events.EmployeeRegistered:
			employee(d.Employee)
		case events.EmployeeUpdated:
			employee(d.Employee)
		case events.SONumberIssued:
			o.ids = []events.Identifier{{Type: "so", Value: d.SONumber}}
		}
		out = append(out, o)
	}
	return out
}

// checkFold: the entry says what the sources said, in the order in which they
// recorded it, whatever order it came in.
func (s *sim) checkFold(p *person, e *entry) {
	all := p.told(s.town)
	slices.SortStableFunc(all, func(x, y told) int { return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.urn, y.urn)) })
	var name account.Name
	var address, mobile string
	var numbers, since []string
	roles := map[string]string{}
	born := map[string]time.Time{}
	for _, o := range all {
		for _, n := range o.ids {
			if v := n.Type + n.Value; !slices.Contains(numbers, v) {
				numbers, since = append(numbers, v), append(since, v+o.at.UTC().String())
			}
		}
		if o.kind == "" {
			continue
		}
		name, address, mobile = o.name, cmp.Or(o.address, address), cmp.Or(o.mobile, mobile)
		k := o.kind + o.key
		roles[k] = o.start
		if _, ok := born[k]; !ok {
			born[k] = o.at
		}
	}
	if e.Name != name {
		s.violation("I10", "%s is called %q, not %q", e.Username, e.Name, name)
	}
	if e.Address != address || e.Mobile != mobile {
		s.violation("I10", "%s is reached at %q and %q, not at %q and %q", e.Username, e.Address, e.Mobile, address, mobile)
	}
	var have []string
	for _, n := range e.Numbers {
		have = append(have, n.Type+n.Value+n.Since.UTC().String())
	}
	slices.Sort(have)
	slices.Sort(since)
	if !slices.Equal(have, since) {
		s.violation("I10", "%s has the numbers %v, not %v", e.Username, have, since)
	}
	if len(e.Roles) != len(roles) {
		s.violation("I10", "%s has %d roles, not %d", e.Username, len(e.Roles), len(roles))
	}
	for _, r := range e.Roles {
		if k := r.Kind + r.Key; roles[k] != r.Start || !r.Since.Equal(born[k]) {
			s.violation("I10", "role %s of %s is %s since %s, not %s since %s", k, e.Username, r.Start, r.Since, roles[k], born[k])
		}
	}
}

// checkClicks: 200 means done, once; everything else is not half done.
func (s *sim) checkClicks() {
	won := map[string]int{}
	for _, c := range s.town.clicks {
		stands := false
		for _, e := range s.dir.entries {
			for _, v := range e.history {
				stands = stands || v.password == c.password
			}
		}
		if c.answered && c.err == nil {
			if won[c.invitation]++; won[c.invitation] > 1 {
				s.violation("I9", "two clicks on one invitation were answered 200")
			}
			if !stands {
				s.violation("I7", "a click was answered 200 and its password never stood")
			}
		}
		if stands && c.answered && c.err != nil && !events.IsUnavailable(c.err) && !errors.Is(c.err, account.ErrSpent) {
			s.violation("I7", "a click that set the password was answered %v", c.err)
		}
	}
	for _, e := range s.dir.entries {
		binds := e.password != "" && s.dir.Verify(s.t.Context(), e.Username, e.password) == nil
		if binds != (e.State == account.Active) {
			s.violation("I7", "%s is %s and bind answers %t", e.Username, e.State, binds)
		}
		if e.State == account.Suspended && e.password != "" {
			s.violation("I7", "the compromised account %s has a password", e.Username)
		}
	}
}

func (l letter) String() string {
	return fmt.Sprintf("%s %s to %s", l.Template, l.Letter[:6], l.Address)
}
