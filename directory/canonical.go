package directory

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/text/unicode/norm"

	"usn.no/matricula/account"
)

// Canonical is a as a directory gives it back: names composed (NFC), times in
// UTC without a monotonic reading, slices sorted, without repetitions and nil
// where empty, and no wish to delete the password.
func Canonical(a account.Account) account.Account {
	a = a.Clone()
	a.PasswordGone = false
	for _, s := range []*string{&a.Name.Given, &a.Name.Family, &a.Name.Preferred, &a.Address, &a.Mobile} {
		*s = norm.NFC.String(*s)
	}
	for _, t := range []*time.Time{&a.Why.Since, &a.Rules.At, &a.PasswordSince, &a.SessionsFrom, &a.OpenUntil} {
		*t = utc(*t)
	}
	for i := range a.Numbers {
		a.Numbers[i].Since = utc(a.Numbers[i].Since)
	}
	for i := range a.Roles {
		a.Roles[i].Since = utc(a.Roles[i].Since)
	}
	for i := range a.Marks {
		a.Marks[i].Time = utc(a.Marks[i].Time)
	}
	for i := range a.Invitations {
		a.Invitations[i].Created, a.Invitations[i].Expires = utc(a.Invitations[i].Created), utc(a.Invitations[i].Expires)
	}
	for i := range a.Unsent {
		a.Unsent[i].At = utc(a.Unsent[i].At)
		if len(a.Unsent[i].Details) == 0 {
			a.Unsent[i].Details = nil
		}
	}
	a.Numbers = sorted(a.Numbers, func(x, y account.Number) int {
		return cmp.Or(rank(y)-rank(x), cmp.Compare(x.Value, y.Value), cmp.Compare(x.Type, y.Type))
	})
	a.Roles = sorted(a.Roles, func(x, y account.Role) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Key, y.Key), cmp.Compare(x.ID, y.ID), cmp.Compare(pack(role(x)), pack(role(y))))
	})
	a.Marks = sorted(a.Marks, func(x, y account.Mark) int {
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.Facet, y.Facet), x.Time.Compare(y.Time))
	})
	a.Invitations = sorted(a.Invitations, func(x, y account.Invitation) int {
		return cmp.Or(x.Created.Compare(y.Created), cmp.Compare(x.ID, y.ID))
	})
	a.Unsent = sorted(a.Unsent, func(x, y account.Fact) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID), cmp.Compare(x.What, y.What))
	})
	a.Affiliations = sorted(filled(a.Affiliations), cmp.Compare[string])
	a.Handles = sorted(filled(a.Handles), cmp.Compare[string])
	return a
}

// sorted drops what compares equal to its neighbour.
func sorted[T any](s []T, compare func(x, y T) int) []T {
	if len(s) == 0 {
		return nil
	}
	slices.SortFunc(s, compare)
	return slices.CompactFunc(s, func(x, y T) bool { return compare(x, y) == 0 })
}

func filled(s []string) []string {
	return slices.DeleteFunc(s, func(v string) bool { return v == "" })
}

func utc(t time.Time) time.Time { return t.UTC().Round(0) }

// rank orders the kinds of number as the domain does, highest first.
func rank(n account.Number) int {
	return slices.Index([]string{"fs", "so", "dnr", "fnr"}, n.Type)
}
