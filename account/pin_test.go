package account_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// doors lets a world set PINs, and answers the access system's key.
func (w *world) doors() events.SealKey {
	w.t.Helper()
	key, err := events.GenerateSealKey()
	w.must(err)
	pub, ok := w.Publisher.(*stream.Publisher)
	if !ok {
		w.t.Fatal("the world's publisher is another one")
	}
	w.PINs, w.PINRules = &stream.PINs{Publisher: pub}, account.PINRules{Valid: 30 * 24 * time.Hour}
	w.SealPIN = func(id, campus string, sequence uint64, h events.PINHolder) (sealed, print string, err error) {
		sealed, err = events.SealPIN(key.Public(), id, campus, sequence, h)
		return sealed, key.Public().Print(), err
	}
	return key
}

// kari is a student in Kongsberg who also works in Drammen, active since
// August, with a session.
func (w *world) kari() account.Own {
	w.t.Helper()
	s := student("256801", "Kari", "Nordmann", "kari@example.org", fnr(fnrA))
	s.BirthDate, s.Programmes[0].Campus = "2005-05-17", "Kongsberg"
	e := employee("104711", "Kari", "Nordmann", "kari@example.org", fnr(fnrA))
	e.BirthDate, e.Employments[0].Campus = "2005-05-17", "Drammen"
	w.must(w.StudentRegistered(w.t.Context(), w.meta(events.SourceAdmissions, s.StudentNo, w.clock()), events.StudentRegistered{Student: s}))
	w.must(w.EmployeeRegistered(w.t.Context(), w.meta(events.SourceHR, e.EmployeeNo, w.clock()), events.EmployeeRegistered{Employee: e}))
	ticket := w.ticket("256801", account.PurposeActivate)
	w.at(august.Add(time.Hour))
	_, err := w.portal().Activate(w.t.Context(), account.Choice{Proof: w.proof(ticket, fnrA), Rules: rules, Password: password})
	w.must(err)
	w.publishUnsent()
	own, err := w.portal().SignIn(w.t.Context(), try("256801", password, "here"))
	w.must(err)
	return own
}

func wish(own account.Own, pin string) account.PINChoice {
	return account.PINChoice{Account: own.ID, From: own.From, Try: account.Try{Password: password, From: "here"}, PIN: pin}
}

// pins are those that wait, opened, by campus.
func (w *world) pins(key events.SealKey) map[string]events.PINHolder {
	w.t.Helper()
	st, err := w.js.Stream(w.t.Context(), stream.Secret)
	w.must(err)
	out := map[string]events.PINHolder{}
	for _, subject := range w.subjects(stream.Secret, "secret.>") {
		m, err := st.GetLastMsgForSubject(w.t.Context(), subject)
		w.must(err)
		e, err := events.Decode(m.Subject, m.Header, m.Data, w.clock())
		w.must(err)
		set, _ := e.Data.(events.PINSet)
		if out[set.Campus], err = events.OpenPIN(key, set.Account, set.Campus, e.Sequence, set.Sealed); err != nil {
			w.t.Fatalf("%s does not open: %v", subject, err)
		}
	}
	return out
}

// states are how far the PIN has come, by campus.
func (w *world) states(own account.Own) map[string]string {
	w.t.Helper()
	_, all, err := w.portal().PIN(w.t.Context(), own.ID, own.From)
	w.must(err)
	out := map[string]string{}
	for _, c := range all {
		out[c.Campus] = c.State
	}
	return out
}

func expectStates(t *testing.T, when string, got map[string]string, drammen, kongsberg string) {
	t.Helper()
	if len(got) != 2 || got["Drammen"] != drammen || got["Kongsberg"] != kongsberg {
		t.Errorf("%s: %v", when, got)
	}
}

func TestPINReachesTheAccessSystemOfEachCampusSealedAndTheAuditOnce(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		key := w.doors()
		own := w.kari()
		expectStates(t, "before", w.states(own), account.PINNone, account.PINNone)
		after, err := w.portal().SetPIN(t.Context(), wish(own, "8361"))
		w.must(err)
		if after.ID != own.ID || !after.From.Equal(own.From) {
			t.Errorf("the session is another: %+v", after)
		}
		expectStates(t, "no worker has seen it", w.states(own), events.PINRequested, events.PINRequested)
		entry := w.find(account.ByID, own.ID)
		if text, err := json.Marshal(entry.Unsent); err != nil || strings.Contains(string(text), "8361") || len(entry.Unsent) != 1 {
			t.Errorf("the entry carries %s, %v", text, err)
		}
		w.publishUnsent()
		// killed before the fact was taken away, a worker does all of it again
		again := w.find(account.ByID, own.ID)
		was := again.Clone()
		again.Unsent = entry.Unsent
		w.must(w.Directory.Update(t.Context(), was, again))
		w.publishUnsent()
		got := w.pins(key)
		if len(got) != 2 || got["Drammen"].PIN != "8361" || got["Kongsberg"].PIN != "8361" || got["Drammen"].Username != own.Username {
			t.Fatalf("%d PINs wait", len(got))
		}
		if d, k := got["Drammen"].Numbers, got["Kongsberg"].Numbers; len(d) != 1 || d[0] != "employee:104711" || len(k) != 1 || k[0] != "student:256801" {
			t.Errorf("they name %v and %v", d, k)
		}
		if n := w.facts()["pin.set"]; n != 1 {
			t.Errorf("%d facts", n)
		}
		mark, err := w.PINs.Mark(t.Context(), own.ID, "Drammen")
		w.must(err)
		receipts, _ := w.PINs.(*stream.PINs)
		for _, state := range []string{events.PINDelivered, events.PINConfirmed} {
			w.must(receipts.Receipt(t.Context(), own.ID, "Drammen", events.PINMark{Sequence: mark.Sequence, State: state, At: w.clock()}))
			expectStates(t, state, w.states(own), state, events.PINRequested)
		}
		w.at(w.clock().Add(31 * 24 * time.Hour))
		expectStates(t, "a month later", w.states(own), events.PINConfirmed, account.PINExpired)
	})
}

func TestSecondPINTakesTheFirstOnesPlaceWhateverTheClocksSay(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	key := w.doors()
	own := w.kari()
	now := w.clock().Add(30 * time.Minute)
	for i, pin := range []string{"8361", "7294", "9405"} {
		w.at(now.Add(-time.Duration(i) * time.Minute)) // each portal's clock is behind the one before
		_, err := w.portal().SetPIN(t.Context(), wish(own, pin))
		w.must(err)
		if i == 0 {
			w.publishUnsent()
		}
	}
	w.publishUnsent()
	if got := w.pins(key); len(got) != 2 || got["Drammen"].PIN != "9405" || got["Kongsberg"].PIN != "9405" {
		t.Errorf("another PIN than the last one waits, of %d", len(got))
	}
	if n := w.facts()["pin.set"]; n != 3 {
		t.Errorf("%d facts", n)
	}
	var many *account.OftenError
	if _, err := w.portal().SetPIN(t.Context(), wish(own, "6150")); !errors.As(err, &many) || !many.Until.After(w.clock()) {
		t.Errorf("a fourth one within the hour: %v", err)
	}
	w.at(now.Add(time.Hour))
	if _, err := w.portal().SetPIN(t.Context(), wish(own, "6150")); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestPINNeedsASessionThePasswordAndTheRules(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.doors()
	own := w.kari()
	other := w.activeStudent("256802", fnrB)
	p := w.portal()
	wrong := func(c account.PINChoice, change func(*account.PINChoice)) error {
		change(&c)
		_, err := p.SetPIN(t.Context(), c)
		return err
	}
	fine := wish(own, "8361")
	if err := wrong(fine, func(c *account.PINChoice) { c.Try.Password += "x" }); !errors.Is(err, account.ErrWrongPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := wrong(fine, func(c *account.PINChoice) { c.Try = account.Try{Username: other.Username, Password: password + "x"} }); !errors.Is(err, account.ErrWrongPassword) {
		t.Errorf("another username: %v", err)
	}
	if err := wrong(fine, func(c *account.PINChoice) { c.From = c.From.Add(time.Millisecond) }); !errors.Is(err, account.ErrSignedOut) {
		t.Errorf("another session: %v", err)
	}
	for _, pin := range []string{"", "836", "83614", "1111", "1234", "1705", "2580", "83a1"} {
		var broken *account.PINError
		if err := wrong(fine, func(c *account.PINChoice) { c.PIN = pin }); !errors.As(err, &broken) || strings.Contains(err.Error(), pin) && pin != "" {
			t.Errorf("%q: %v", pin, err)
		}
	}
	// Without the password nobody learns what a birth date is not.
	if err := wrong(fine, func(c *account.PINChoice) { c.PIN, c.Try.Password = "1705", "guess" }); !errors.Is(err, account.ErrWrongPassword) {
		t.Errorf("a bad PIN with a wrong password: %v", err)
	}
	theirs, err := p.SignIn(t.Context(), try("256802", password, "there"))
	w.must(err)
	if err := wrong(wish(theirs, "8361"), func(*account.PINChoice) {}); !errors.Is(err, account.ErrNoCampus) {
		t.Errorf("nobody knows a campus: %v", err)
	}
	w.must(p.SignOut(t.Context(), own.ID, own.From))
	if err := wrong(fine, func(*account.PINChoice) {}); !errors.Is(err, account.ErrSignedOut) {
		t.Errorf("after signing out everywhere: %v", err)
	}
	w.publishUnsent()
	if n := w.facts()["pin.set"]; n != 0 || len(w.subjects(stream.Secret, "secret.>")) != 0 {
		t.Errorf("a refused PIN left %d facts", n)
	}
}

func TestPasswordIsGuessedAtNoFasterThroughThePIN(t *testing.T) { // T19
	t.Parallel()
	w := bucketWorld(t)
	w.doors()
	own := w.kari()
	var many *account.TooManyError
	n := 0
	for ; n < 30; n++ {
		c := wish(own, "8361")
		c.Try = account.Try{Password: "guess", From: "browser", Known: true}
		if _, err := w.portal().SetPIN(t.Context(), c); errors.As(err, &many) {
			break
		}
	}
	if n > 15 {
		t.Errorf("%d guesses were answered", n)
	}
}

func TestPINIsForCampusesOfOpenRolesOnly(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	key := w.doors()
	own := w.kari()
	a := w.find(account.ByID, own.ID)
	was := a.Clone()
	a.Roles = append(a.Roles,
		account.Role{Kind: account.Student, Key: "256801", ID: "2", Campus: "Bø", Start: "2028-01-10", Since: w.clock()},
		account.Role{Kind: account.Employee, Key: "104711", ID: "2", Campus: "Vestfold", Start: "2026-01-01", End: "2027-07-31", Since: w.clock()},
		account.Role{Kind: account.Employee, Key: "104711", ID: "3", Campus: "drammen ", Start: "2026-01-01", End: "2027-08-01", Since: w.clock()},
	)
	w.must(w.Directory.Update(t.Context(), was, a))
	_, all, err := w.portal().PIN(t.Context(), own.ID, own.From)
	w.must(err)
	if len(all) != 3 || all[2].Campus != "Bø" || all[2].State != account.PINEarly || all[2].Opens.Before(w.clock()) {
		t.Errorf("the campuses are %+v", all)
	}
	_, err = w.portal().SetPIN(t.Context(), wish(own, "8361"))
	w.must(err)
	w.publishUnsent()
	if got := w.pins(key); len(got) != 2 || got["Drammen"].PIN == "" || got["Kongsberg"].PIN == "" {
		t.Errorf("PINs wait for %d campuses", len(got))
	}
}

// What many portals see of one person counts together: state is shared.
func TestPINsOfOnePersonAreCountedByAllPortalsTogether(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.doors()
	own := w.kari()
	portals := []*account.Lifecycle{w.portal(), w.portal()}
	taken := 0
	for i, pin := range []string{"8361", "7294", "9405", "6150", "3072"} {
		p := portals[i%2]
		counter, _ := p.Attempts.(*stream.Counter)
		p.Attempts = &stream.Counter{Publisher: counter.Publisher}
		var often *account.OftenError
		switch _, err := p.SetPIN(t.Context(), wish(own, pin)); {
		case err == nil:
			taken++
		case !errors.As(err, &often):
			t.Fatal(err)
		}
	}
	if taken != 3 {
		t.Errorf("%d PINs were taken within the hour", taken)
	}
}
