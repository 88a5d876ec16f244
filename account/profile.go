package account

import (
	"cmp"
	"slices"
	"strings"

	"usn.no/matricula/events"
)

// tell joins what a full state says of the person.
func (a *Account) tell(t Told) {
	i := slices.IndexFunc(a.Told, func(o Told) bool { return o.Source == t.Source && o.Subject == t.Subject })
	switch {
	case i < 0:
		a.Told = append(a.Told, t)
	case t.compare(a.Told[i].Recency) > 0:
		a.Told[i] = t
	}
	slices.SortFunc(a.Told, func(x, y Told) int { return cmp.Or(compare(x.Source, y.Source), compare(x.Subject, y.Subject)) })
}

// profile derives the person's profile from what the sources say: of each field
// what the one says that was recorded last, and of those that say nothing about
// it the one before; at one instant HR counts first. What hides a person holds
// as long as any source says so. A new address ends the links that went to the
// old one.
func (a *Account) profile() {
	if len(a.Told) == 0 {
		return // nobody has told anything yet: as it was taken over
	}
	told := slices.Clone(a.Told)
	slices.SortFunc(told, func(x, y Told) int {
		hr := func(t Told) int {
			if t.Source == events.SourceHR {
				return 0
			}
			return 1
		}
		return cmp.Or(y.Time.Compare(x.Time), hr(x)-hr(y), compare(x.Source, y.Source), compare(x.Subject, y.Subject))
	})
	newest := func(of func(Told) string) string {
		for _, t := range told {
			if v := of(t); v != "" {
				return v
			}
		}
		return ""
	}
	for _, t := range slices.Backward(told) {
		if t.Name != (Name{}) {
			a.Name = t.Name
		}
	}
	a.BirthDate = newest(func(t Told) string { return t.BirthDate })
	a.Mobile = newest(func(t Told) string { return t.Mobile })
	a.Language = newest(func(t Told) string { return t.Language })
	a.Protection, a.Reserved = "", false
	for _, t := range told {
		if protection[t.Protection] > protection[a.Protection] {
			a.Protection = t.Protection
		}
		a.Reserved = a.Reserved || t.Reserved
	}
	a.readdress(newest(func(t Told) string { return t.Address }))
}

// protection ranks what may be known of a person.
var protection = map[string]int{"none": 1, "confidential": 2, "strictly_confidential": 3}

// readdress takes the address that the sources now say, unless letters came
// back from it.
func (a *Account) readdress(address string) {
	was := a.Address
	if gone, _, bounced := a.Bounced(); bounced {
		if address == "" || strings.EqualFold(gone, address) {
			a.Address = ""
			return
		}
		was = gone
		a.forgetBounce()
	}
	a.Address = address
	if address != was && was != "" {
		// The old links went to an address that is no longer the person's. A new
		// one for a new password is asked for, and comes to the new address.
		a.replace()
	}
}
