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
	for _, t := range []*time.Time{&a.Why.Since, &a.Why.Done, &a.Rules.At, &a.PasswordSince, &a.SessionsFrom, &a.OpenUntil, &a.Turn, &a.Erased, &a.Adopted} {
		*t = utc(*t)
	}
	for i := range a.Numbers {
		n := &a.Numbers[i]
		n.Since, n.Replaced, n.Renewed = utc(n.Since), utc(n.Replaced), utc(n.Renewed)
	}
	for i := range a.Roles {
		a.Roles[i].Since, a.Roles[i].Listed.Time = utc(a.Roles[i].Since), utc(a.Roles[i].Listed.Time)
	}
	registers(&a)
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
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.Facet, y.Facet), x.Time.Compare(y.Time),
			cmp.Compare(x.Sequence, y.Sequence), cmp.Compare(x.Position, y.Position))
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

// registers does the same for what the sources told.
func registers(a *account.Account) {
	for i := range a.Told {
		t := &a.Told[i]
		t.Time = utc(t.Time)
		for _, s := range []*string{&t.Name.Given, &t.Name.Family, &t.Name.Preferred, &t.Address, &t.Mobile} {
			*s = norm.NFC.String(*s)
		}
	}
	for i := range a.Endings {
		a.Endings[i].Time = utc(a.Endings[i].Time)
	}
	for i := range a.Orders {
		o := &a.Orders[i]
		o.Time, o.Until = utc(o.Time), utc(o.Until)
	}
	a.Told = sorted(a.Told, func(x, y account.Told) int {
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Subject, y.Subject))
	})
	a.Endings = sorted(a.Endings, func(x, y account.Ending) int {
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.ID, y.ID))
	})
	a.Orders = sorted(a.Orders, func(x, y account.Order) int { return cmp.Compare(x.What, y.What) })
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
