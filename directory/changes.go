package directory

import (
	"slices"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// change is what becomes of one attribute.
type change struct {
	name    string
	remove  []string
	add     []string
	replace bool // whatever is there, by add
}

// changes are one Modify. It names nothing that stays as it is: the server
// lets each service account write its own attributes only.
type changes []change

// changes says what makes now out of was. Revision and state are moved by
// deleting what was read, which the server refuses to whoever comes second.
func (l layout) changes(was, now account.Account) (changes, error) {
	if was.Revision == 0 || was.ID != now.ID || was.Username != now.Username {
		return nil, invalid("update of another account, or of one that was not read")
	}
	now.Revision = was.Revision + 1
	old, err := l.encode(was)
	if err != nil {
		return nil, err
	}
	wish, err := l.encode(now)
	if err != nil {
		return nil, err
	}
	var cs changes
	for _, a := range attributes {
		o, w := old[a.name], wish[a.name]
		if sameSet(o, w) {
			continue
		}
		c := change{name: a.name, add: w, replace: a.write == single}
		if a.write == guard || a.write == many {
			c.remove, c.add = without(o, w), without(w, o)
		}
		if a.write == pointer {
			if c.add = without(w, o); len(c.add) == 0 {
				continue
			}
		}
		cs = append(cs, c)
	}
	return cs, nil
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

func (cs changes) request(dn string) *ldap.ModifyRequest {
	m := ldap.NewModifyRequest(dn, nil)
	for _, c := range cs {
		switch {
		case c.replace:
			m.Replace(c.name, c.add)
		default:
			if len(c.remove) > 0 {
				m.Delete(c.name, c.remove)
			}
			if len(c.add) > 0 {
				m.Add(c.name, c.add)
			}
		}
	}
	return m
}

// done tells from the entry as it is now whether these changes were made. Who
// wrote after us may have counted on, but not have taken anything back.
func (cs changes) done(e *ldap.Entry) bool {
	for _, c := range cs {
		have := e.GetEqualFoldAttributeValues(c.name)
		switch {
		case c.name == revision || c.name == userPassword:
		case c.replace && !sameSet(have, c.add), len(without(c.add, have)) > 0, len(without(c.remove, have)) < len(c.remove):
			return false
		}
	}
	return true
}
