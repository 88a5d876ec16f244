package directory

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// adoption is what makes an account of an entry. What stands there stays,
// except the state, which is ours from now on, a language that no letter has,
// and an affiliation in capitals, which is ours to take away in small letters. The number and the lock that were decided by are named in it, so that
// the server refuses the whole where they have changed.
func (l layout) adoption(e *ldap.Entry, x account.Existing, a account.Account) (changes, error) {
	wish, err := l.encode(a)
	if err != nil {
		return nil, err
	}
	r := reader{entry: e}
	var cs changes
	for _, at := range attributes {
		have, want := r.all(at.name), wish[at.name]
		switch {
		case at.name == "objectClass":
			cs = append(cs, change{name: at.name, add: withoutFold(want, have)})
		case at.name == userStatus:
			own := l.statuses(&r)
			cs = append(cs, change{name: at.name, remove: withoutFold(own, want), add: withoutFold(want, own)})
		case (at.name == "preferredLanguage" || at.name == affiliation) && len(have) > 0 && !sameSet(have, want):
			cs = append(cs, change{name: at.name, add: want, replace: true})
		case at.name == nin && slices.ContainsFunc(a.Numbers, func(n account.Number) bool { return slices.Contains(have, n.Value) }):
			cs = append(cs, change{name: at.name, remove: have, add: have})
		case len(have) == 0 && len(want) > 0:
			cs = append(cs, change{name: at.name, add: want})
		}
	}
	if x.Locked { // the state is the lock now; this one would outlive it
		cs = append(cs, change{name: ppolicyLock, remove: []string{lockedForGood}})
	}
	return cs, l.readable(e, cs, a)
}

// readable sees that the entry, once adopted, reads as the account: what we
// could not read back would be nobody's.
func (l layout) readable(e *ldap.Entry, cs changes, want account.Account) error {
	after := &ldap.Entry{DN: e.DN}
	for _, at := range attributes {
		vs := slices.Clone(e.GetEqualFoldAttributeValues(at.name))
		for _, c := range cs {
			switch {
			case c.name != at.name:
			case c.replace:
				vs = c.add
			default:
				vs = append(without(vs, c.remove), c.add...)
			}
		}
		if len(vs) > 0 {
			after.Attributes = append(after.Attributes, ldap.NewEntryAttribute(at.name, vs))
		}
	}
	got, err := l.decode(after)
	if err != nil {
		return err
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(Canonical(want))
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			return fmt.Errorf("account %s: %w: %s would not come back", want.ID, account.ErrInvalid, g.Type().Field(i).Name)
		}
	}
	return nil
}

func withoutFold(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool {
		return slices.ContainsFunc(b, func(t string) bool { return strings.EqualFold(s, t) })
	})
}
