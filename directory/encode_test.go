package directory

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"usn.no/matricula/account"
)

var l = layout{base: "dc=usn,dc=example", realm: "usn.example"}

// entry is what a server would hold.
func entry(v values) *ldap.Entry {
	e := &ldap.Entry{DN: "uid=x"}
	for name, vs := range v {
		if name != "objectClass" {
			e.Attributes = append(e.Attributes, ldap.NewEntryAttribute(strings.ToUpper(name), vs))
		}
	}
	return e
}

func times(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+" zero") {
		return time.Time{}
	}
	at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, label), rapid.Int64Range(0, 1e9-1).Draw(t, label+" ns"))
	return at.In(time.FixedZone("x", 3600*rapid.IntRange(-12, 12).Draw(t, label+" zone")))
}

func accounts(t *rapid.T) account.Account {
	text := rapid.StringMatching(`[ -~æøåÆØÅéŁ李🎓́]{0,12}`)
	word := rapid.StringMatching(`[a-z0-9.\-]{1,8}`)
	a := account.Account{
		ID: word.Draw(t, "id"), Origin: text.Draw(t, "origin"), Username: word.Draw(t, "username"), Revision: rapid.Uint64().Draw(t, "revision"),
		State:     rapid.SampledFrom(states).Draw(t, "state"),
		Why:       account.Why{Reason: text.Draw(t, "reason"), Since: times(t, "since"), By: text.Draw(t, "by"), Done: times(t, "done")},
		Name:      account.Name{Given: text.Draw(t, "given"), Family: text.Draw(t, "family"), Preferred: text.Draw(t, "preferred")},
		BirthDate: rapid.SampledFrom([]string{"", "2005-05-17", "1999-12-31"}).Draw(t, "birth date"),
		Address:   text.Draw(t, "address"), Mobile: text.Draw(t, "mobile"), Language: word.Draw(t, "language"),
		Protection: rapid.SampledFrom([]string{"", "none", "confidential"}).Draw(t, "protection"), Reserved: rapid.Bool().Draw(t, "reserved"),
		Affiliations:  rapid.SliceOfN(rapid.SampledFrom([]string{"student", "employee", "member", ""}), 0, 5).Draw(t, "affiliations"),
		Handles:       rapid.SliceOfN(word, 0, 4).Draw(t, "handles"),
		Rules:         account.Acceptance{Version: text.Draw(t, "version"), Hash: word.Draw(t, "hash"), At: times(t, "accepted")},
		PasswordSince: times(t, "password"), SessionsFrom: times(t, "sessions"), OpenUntil: times(t, "open"),
		Turn: times(t, "turn"), Leaving: word.Draw(t, "leaving"), Merged: word.Draw(t, "merged"), Erased: times(t, "erased"), Adopted: times(t, "adopted"),
		PasswordLost: word.Draw(t, "lost"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "n") {
		a.Numbers = append(a.Numbers, account.Number{
			Type: rapid.SampledFrom([]string{"fnr", "dnr", "so", "fs"}).Draw(t, "type"), Value: word.Draw(t, "value"), Since: times(t, "number"),
		})
		a.Roles = append(a.Roles, account.Role{
			Kind: rapid.SampledFrom([]string{"student", "employee"}).Draw(t, "kind"), Key: word.Draw(t, "key"), ID: word.Draw(t, "role"),
			Title: text.Draw(t, "title"), Since: times(t, "role since"),
		})
		a.Marks = append(a.Marks, account.Mark{
			Source: text.Draw(t, "source"), Subject: word.Draw(t, "subject"), Facet: word.Draw(t, "facet"), Time: times(t, "mark"),
			Sequence: rapid.Uint64().Draw(t, "sequence"), Position: rapid.Uint64().Draw(t, "position"), Changed: rapid.Bool().Draw(t, "changed"),
		})
		a.Invitations = append(a.Invitations, account.Invitation{
			ID: word.Draw(t, "invitation"), Purpose: word.Draw(t, "purpose"), Created: times(t, "created"), Expires: times(t, "expires"),
		})
		recency := account.Recency{Time: times(t, "told"), Sequence: rapid.Uint64().Draw(t, "told sequence"), Position: rapid.Uint64().Draw(t, "told position")}
		a.Told = append(a.Told, account.Told{
			Source: text.Draw(t, "teller"), Subject: word.Draw(t, "told of"), Recency: recency,
			Name: account.Name{Given: text.Draw(t, "told given"), Preferred: text.Draw(t, "told preferred")}, Address: text.Draw(t, "told address"),
		})
		a.Endings = append(a.Endings, account.Ending{
			Source: text.Draw(t, "ender"), ID: word.Draw(t, "ended"), Recency: recency, Reason: text.Draw(t, "end reason"), Cancelled: rapid.Bool().Draw(t, "cancelled"),
		})
		a.Orders = append(a.Orders, account.Order{
			What: word.Draw(t, "matter"), On: rapid.Bool().Draw(t, "on"), Until: times(t, "until"), By: text.Draw(t, "who"), Recency: recency,
		})
		a.Unsent = append(a.Unsent, account.Fact{
			What: word.Draw(t, "what"), ID: word.Draw(t, "fact"), At: times(t, "fact at"),
			Details: rapid.MapOfN(word, text, 0, 3).Draw(t, "details"),
		})
	}
	return a
}

func TestEveryAccountComesBackAndEncodesTheSameAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := accounts(t)
		v, err := l.encode(a)
		if err != nil {
			t.Fatalf("%+v cannot be encoded: %v", a, err)
		}
		for name, vs := range v {
			if len(vs) == 0 || slices.Contains(vs, "") {
				t.Fatalf("%s has an empty value", name)
			}
		}
		back, err := l.decode(entry(v))
		if err != nil {
			t.Fatalf("%+v cannot be decoded: %v", a, err)
		}
		if want := Canonical(a); !reflect.DeepEqual(back, want) {
			t.Fatalf("came back as\n%+v, not as\n%+v", back, want)
		}
		again, err := l.encode(back)
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Fatalf("encodes again as\n%v, not as\n%v: %v", again, v, err)
		}
	})
}

// apply does to an entry what a server does with a Modify.
func apply(v values, m *ldap.ModifyRequest) (values, error) {
	out := values{}
	for name, vs := range v {
		out[name] = slices.Clone(vs)
	}
	for _, c := range m.Changes {
		name, vs := c.Modification.Type, c.Modification.Vals
		switch c.Operation {
		case ldap.DeleteAttribute:
			for _, s := range vs {
				if !slices.Contains(out[name], s) {
					return nil, fmt.Errorf("%s has no value %q", name, s)
				}
			}
			out[name] = without(out[name], vs)
		case ldap.AddAttribute:
			for _, s := range vs {
				if slices.Contains(out[name], s) {
					return nil, fmt.Errorf("%s has the value %q already", name, s)
				}
			}
			out[name] = append(out[name], vs...)
		case ldap.ReplaceAttribute:
			out[name] = vs
		}
	}
	return out, nil
}

func TestChangesMakeTheNewAccountOutOfTheOld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		was, now := accounts(t), accounts(t)
		was.Revision = 1 + was.Revision>>1
		now.ID, now.Username = was.ID, was.Username
		if rapid.Bool().Draw(t, "mostly the same") {
			keep := now
			now = was.Clone()
			now.Handles, now.State, now.Invitations = keep.Handles, keep.State, nil
		}
		cs, err := l.changes(was, now)
		if err != nil {
			t.Fatal(err)
		}
		old, _ := l.encode(was)
		if cs.done(entry(old)) != (len(cs) == 1) { // the revision alone leaves no trace
			t.Fatalf("%+v count as done before they are", cs)
		}
		got, err := apply(old, cs.request("uid=x"))
		if err != nil {
			t.Fatalf("the server would refuse: %v", err)
		}
		now.Revision = was.Revision + 1
		want, _ := l.encode(now)
		for _, name := range wanted {
			if name == invitationID { // may name what is spent
				if missing := without(want[name], got[name]); len(missing) > 0 {
					t.Fatalf("no search finds the invitations %q", missing)
				}
				continue
			}
			if !sameSet(got[name], want[name]) {
				t.Fatalf("%s becomes %q, not %q", name, got[name], want[name])
			}
		}
		if !cs.done(entry(got)) {
			t.Fatalf("%+v do not count as done on %v", cs, got)
		}
	})
}

func TestTemporaryNumbersAreNeverNational(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 8, 1, 0, 0, 0, 0, time.UTC)
	for want, numbers := range map[string][]account.Number{
		"":            {{Type: "so", Value: "01512510074"}, {Type: "fs", Value: "01512590086"}},
		"57912075186": {{Type: "so", Value: "01512510074", Since: at}, {Type: "dnr", Value: "57912075186"}},
		"17912099997": {{Type: "dnr", Value: "57912075186", Since: at}, {Type: "fnr", Value: "17912099997"}},
		"05840399895": {{Type: "fnr", Value: "17912099997"}, {Type: "fnr", Value: "05840399895", Since: at}},
	} {
		v, err := l.encode(account.Account{ID: "x", Username: "x", State: account.Pending, Numbers: numbers})
		if err != nil || strings.Join(v["norEduPersonNIN"], " ") != want {
			t.Errorf("of %d numbers %v is national, error %v", len(numbers), v["norEduPersonNIN"], err)
		}
	}
}

func TestErrorsQuoteNobody(t *testing.T) {
	t.Parallel()
	for _, code := range []uint16{1, 19, 21, 32, 49, 50, 51, 65, 68, 80} {
		err := translate("modify", &ldap.Error{
			ResultCode: code, MatchedDN: "uid=kari,ou=people",
			Err: errors.New("non-unique attributes found with (|(norEduPersonNIN=17912099997)) near kari@example.org"),
		})
		if s := err.Error(); strings.Contains(s, "1791") || strings.Contains(s, "kari") {
			t.Errorf("code %d says %q", code, s)
		}
		if code == 19 && !strings.Contains(err.Error(), "norEduPersonNIN") {
			t.Errorf("code 19 does not name the attribute: %v", err)
		}
	}
}

func TestQueueForAHashHasAnEnd(t *testing.T) {
	t.Parallel()
	h := NewHasher(Argon2{}, 2)
	for range 2 {
		if _, err := h.slots.take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.slots.took.Store(int64(100 * time.Millisecond)) // two at a time: 50 ms for each who waits
	const most, full, noticed = 40, 10, 2
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	for i := range most {
		if h.Crowded() != (i >= full) {
			t.Errorf("with %d of %d waiting Crowded is %v", i, most, h.Crowded())
		}
		if i+1 == noticed && len(h.Waits()) != 0 {
			t.Errorf("%d who waits is noticed already", i)
		}
		go func() {
			_, err := h.slots.take(ctx)
			left <- err
		}()
		for h.slots.waiting.Load() != int64(i+1) {
			runtime.Gosched()
		}
		if i+1 == noticed {
			select {
			case <-h.Waits():
			case <-time.After(time.Minute):
				t.Errorf("%d who wait are not noticed", i+1)
			}
		}
	}
	if _, err := h.slots.take(t.Context()); !errors.Is(err, account.ErrBusy) {
		t.Errorf("one more than may wait was answered %v", err)
	}
	leave()
	for range most {
		if err := <-left; !errors.Is(err, account.ErrBusy) {
			t.Errorf("who left the queue was answered %v", err)
		}
	}
	if h.Crowded() || h.slots.waiting.Load() != 0 {
		t.Errorf("%d wait when all have left", h.slots.waiting.Load())
	}
}

func TestNoSlotMeansBusy(t *testing.T) {
	t.Parallel()
	h := NewHasher(Argon2{Memory: 64, Time: 1, Threads: 1}, 1)
	give, err := h.slots.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.Renew(ctx, nil, account.Account{}, account.Account{}, "et langt passord"); !errors.Is(err, account.ErrBusy) {
		t.Errorf("a hash without a slot answered %v", err)
	}
	if _, err := h.Matches(ctx, "x", "et langt passord"); !errors.Is(err, account.ErrBusy) {
		t.Errorf("a check without a slot answered %v", err)
	}
	give()
	if _, _, err := h.Renew(ctx, nil, account.Account{}, account.Account{}, "et langt passord"); err != nil {
		t.Errorf("with a free slot a hash answered %v", err)
	}
}

func TestForeignHashesMatchNothing(t *testing.T) {
	t.Parallel()
	h := NewHasher(Argon2{Memory: 64, Time: 1, Threads: 1}, 1)
	hash, _, err := h.Renew(t.Context(), nil, account.Account{}, account.Account{}, "et langt passord")
	if err != nil {
		t.Fatal(err)
	}
	for what, foreign := range map[string]string{
		"nothing": "", "clear text": "et langt passord", "another scheme": "{SSHA}" + hash, "another kind": strings.Replace(hash, "argon2id", "argon2i", 1),
		"no scheme": strings.TrimPrefix(hash, scheme), "a cut hash": hash[:len(hash)-30], "unbounded memory": strings.Replace(hash, "m=64", "m=4294967295", 1),
		"no passes": strings.Replace(hash, "t=1", "t=0", 1), "no threads": strings.Replace(hash, "p=1", "p=0", 1), "letters": strings.Replace(hash, "m=64", "m=xx", 1),
	} {
		if ok, err := h.Matches(t.Context(), foreign, "et langt passord"); ok || err != nil {
			t.Errorf("%s matches: %t, error %v", what, ok, err)
		}
	}
	if ok, err := h.Matches(t.Context(), hash, "et langt passord"); !ok || err != nil {
		t.Errorf("its own hash matches: %t, error %v", ok, err)
	}
}

func TestBurntPasswordsAreBounded(t *testing.T) {
	t.Parallel()
	h := NewHasher(Argon2{Memory: 64, Time: 1, Threads: 1}, 1)
	stolen := account.Account{Why: account.Why{Reason: account.WhyCompromised}}
	var kept []Kept
	for i := range 8 {
		now := account.Account{PasswordSince: time.Unix(int64(i), 0)}
		var err error
		if _, kept, err = h.Renew(t.Context(), kept, stolen, now, fmt.Sprintf("passord nummer %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept) != burntKept+1 || kept[0].Since.Unix() != 6 || kept[burntKept].Burnt {
		t.Errorf("after eight thefts these are kept: %+v", kept)
	}
}
