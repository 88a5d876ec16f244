package directory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// decode turns an entry into an account. What somebody else has written that
// cannot be read is an error that names the attribute and the account's ID.
func (l layout) decode(e *ldap.Entry) (account.Account, error) {
	r := reader{entry: e}
	a := account.Account{
		ID:           r.one(accountID),
		Origin:       r.one("matriculaOrigin"),
		Username:     r.one("uid"),
		State:        l.state(&r),
		Name:         r.name(),
		BirthDate:    r.birthDate(),
		Address:      r.one("matriculaAddress"),
		Mobile:       r.one("matriculaMobile"),
		Language:     r.one("preferredLanguage"),
		Protection:   r.one("matriculaProtection"),
		Reserved:     r.one("matriculaReserved") == "TRUE",
		Affiliations: r.all("eduPersonAffiliation"),
		Handles:      r.all("matriculaHandle"),

		Why:   account.Why(readOne[why](&r, "matriculaWhy")),
		Rules: account.Acceptance(readOne[rules](&r, "matriculaRules")),

		PasswordSince: r.time("matriculaPasswordSince"),
		SessionsFrom:  r.time("matriculaSessionsFrom"),
		OpenUntil:     r.time("matriculaOpenUntil"),
		PasswordLost:  r.one("matriculaPasswordLost"),

		Turn:    r.time(turn),
		Leaving: r.one("matriculaLeaving"),
		Merged:  r.one("matriculaMerged"),
		Erased:  r.time("matriculaErased"),
		Adopted: r.time("matriculaAdopted"),
	}
	a.Revision = r.number(revision)
	a.Unsent = readAll[account.Fact](&r, unsent)
	for _, n := range readAll[number](&r, "matriculaNumber") {
		a.Numbers = append(a.Numbers, account.Number(n))
	}
	for _, v := range readAll[role](&r, "matriculaRole") {
		a.Roles = append(a.Roles, account.Role(v))
	}
	for _, m := range readAll[mark](&r, "matriculaMark") {
		a.Marks = append(a.Marks, account.Mark(m))
	}
	for _, t := range readAll[told](&r, "matriculaTold") {
		a.Told = append(a.Told, t.account())
	}
	for _, e := range readAll[ending](&r, "matriculaEnding") {
		a.Endings = append(a.Endings, account.Ending(e))
	}
	for _, o := range readAll[ordered](&r, "matriculaOrder") {
		a.Orders = append(a.Orders, account.Order(o))
	}
	for _, s := range r.all(invitation) {
		i, err := unpackInvitation(s)
		r.note(invitation, err)
		a.Invitations = append(a.Invitations, i)
	}
	if r.err != nil {
		return account.Account{}, fmt.Errorf("account %s: %w: %w", a.ID, account.ErrInvalid, r.err)
	}
	return Canonical(a), nil
}

// state is the one value that is about the account; other systems may keep
// others beside it.
func (l layout) state(r *reader) account.State {
	var found []account.State
	for _, s := range r.all(userStatus) {
		if len(s) > len(l.statusPrefix()) && strings.EqualFold(s[:len(l.statusPrefix())], l.statusPrefix()) {
			found = append(found, account.State(strings.ToLower(s[len(l.statusPrefix()):])))
		}
	}
	if len(found) != 1 || !slices.Contains(states, found[0]) {
		r.note(userStatus, fmt.Errorf("%d account states, or one that is not known", len(found)))
		return ""
	}
	return found[0]
}

// reader takes values out of an entry and keeps the first error.
type reader struct {
	entry *ldap.Entry
	err   error
}

func (r *reader) note(attribute string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s cannot be read", attribute) // err could quote the value
	}
}

func (r *reader) one(name string) string   { return r.entry.GetEqualFoldAttributeValue(name) }
func (r *reader) all(name string) []string { return r.entry.GetEqualFoldAttributeValues(name) }

func (r *reader) time(name string) time.Time {
	t, err := unpackTime(r.one(name))
	r.note(name, err)
	return t
}

func (r *reader) number(name string) uint64 {
	n, err := strconv.ParseUint(r.one(name), 10, 64)
	r.note(name, err)
	return n
}

func (r *reader) birthDate() string {
	s := r.one("norEduPersonBirthDate")
	if s == "" {
		return ""
	}
	t, err := time.Parse("20060102", s)
	r.note("norEduPersonBirthDate", err)
	return t.Format(time.DateOnly)
}

func (r *reader) name() account.Name {
	n := account.Name{Given: r.one("givenName"), Family: r.one("sn")}
	form := r.all("matriculaNameForm")
	if slices.Contains(form, "mononym") {
		n.Family = ""
	}
	if slices.Contains(form, "preferred") {
		n.Preferred = r.one("displayName")
	}
	return n
}

func readOne[T any](r *reader, name string) (v T) {
	if s := r.one(name); s != "" {
		var err error
		v, err = unpack[T](s)
		r.note(name, err)
	}
	return v
}

func readAll[T any](r *reader, name string) (out []T) {
	for _, s := range r.all(name) {
		v, err := unpack[T](s)
		r.note(name, err)
		out = append(out, v)
	}
	return out
}
