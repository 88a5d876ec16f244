package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/directory/kv"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

func TestEveryAnswerHasItsTextAndItsNextStepInThreeLanguages(t *testing.T) {
	t.Parallel()
	placeholder := regexp.MustCompile(`\{[a-z]+\}`)
	all := map[string]texts{}
	for _, lang := range languages() {
		var err error
		if all[lang], err = loadTexts(lang); err != nil {
			t.Fatal(err)
		}
	}
	known := []string{"{at}", "{username}", "{why}", "{address}", "{words}", "{dead}", "{reason}", "{into}", "{portal}", "{who}", "{text}"}
	for lang, ts := range all {
		for key := range all["nb"] {
			if _, ok := ts[key]; !ok {
				t.Errorf("%s has no text %q", lang, key)
			}
		}
		for key, text := range ts {
			want, got := placeholder.FindAllString(all["nb"][key], -1), placeholder.FindAllString(text, -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s of %s has the placeholders %v, nb has %v", key, lang, got, want)
			}
			for _, p := range got {
				if !slices.Contains(known, p) {
					t.Errorf("%s of %s has %s, which nobody fills in", key, lang, p)
				}
			}
		}
		for _, answer := range account.Answers() {
			next := ts[answer+"_next"]
			if ts[answer] == "" || next == "" || strings.Contains(strings.TrimSuffix(next, "."), ". ") {
				t.Errorf("%s of %s lacks a text, or its next step is not one sentence: %q", answer, lang, next)
			}
		}
	}
}

// desk is an operator's system over an embedded directory with some people.
type desk struct {
	*system
	t      *testing.T
	people *kv.Directory
	pub    *stream.Publisher
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	s := &system{cfg: DefaultConfig(), clock: &clock{}, js: testkit.NATS(t).JetStream()}
	s.cfg.Portal.BaseURL = "https://konto.usn.example"
	s.clock.set(time.Date(2027, 7, 25, 10, 0, 0, 0, time.UTC))
	s.cfg.Keys.ClaimsFile = Secret{Path: t.TempDir() + "/claims.key"}
	if err := writeWhole(s.cfg.Keys.ClaimsFile.Path, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := stream.Declare(t.Context(), s.js, s.settings(), false); err != nil {
		t.Fatal(err)
	}
	bucket, err := s.js.CreateOrUpdateKeyValue(t.Context(), kv.BucketConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return &desk{
		system: s, t: t, pub: s.publisher(s.js),
		people: &kv.Directory{Bucket: bucket, Hasher: directory.NewHasher(directory.Argon2{Memory: 64, Time: 1, Threads: 1}, 1)},
	}
}

// student is somebody who has been invited and waits for August.
func (d *desk) student(no, number string, change func(*account.Account)) account.Account {
	d.t.Helper()
	identity, err := d.identity()
	if err != nil {
		d.t.Fatal(err)
	}
	now := d.clock.Now()
	a := account.Account{
		ID: identity.AccountID(events.SourceAdmissions, no), Username: no, State: account.Pending,
		Why:  account.Why{Reason: account.WhyRegistered, Since: now.AddDate(0, -1, 0)},
		Name: account.Name{Given: "Kari", Family: "Zaqariasdottir"}, Address: "kari@kommune.example.org",
		Numbers:     []account.Number{{Type: "fnr", Value: number}},
		Roles:       []account.Role{{Kind: account.Student, Key: no, ID: "1", Start: "2027-08-16", Campus: "Bakkenteigen", Title: "MSC-QX", Since: now.AddDate(0, -1, 0)}},
		Handles:     append(identity.NumberHandles("fnr", number), identity.SourceHandles(events.SourceAdmissions, no)...),
		Invitations: []account.Invitation{{ID: strings.Repeat("a", 20) + no, Purpose: account.PurposeActivate, Created: now.AddDate(0, 0, -7), Expires: now.AddDate(0, 0, 30)}},
	}
	change(&a)
	claim, _ := json.Marshal(account.Claim{Account: a.ID, Username: a.Username})
	if _, err := stream.NewClaims(d.pub).Take(d.t.Context(), a.Handles, claim); err != nil {
		d.t.Fatal(err)
	}
	if err := d.people.Create(d.t.Context(), a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d *desk) ask(who asked, language string) (explained, string) {
	d.t.Helper()
	ts, err := loadTexts(language)
	if err != nil {
		d.t.Fatal(err)
	}
	e, err := d.explain(d.t.Context(), d.people, who, "helpdesk1", ts)
	if err != nil {
		d.t.Fatalf("%s is not explained: %v", who.name, err)
	}
	var out bytes.Buffer
	if err := ts.print(&out, who, e); err != nil {
		d.t.Fatal(err)
	}
	object, err := json.Marshal(e)
	if err != nil {
		d.t.Fatal(err)
	}
	return e, out.String() + string(object)
}

const (
	someNumber  = "17912099997"
	otherNumber = "05840399895"
)

func TestExplainFindsAPersonByEveryNameAndShowsNobody(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a := d.student("256789", someNumber, func(*account.Account) {})
	letter, _, _ := d.lifecycle().InvitationLetter(a)
	err := (&stream.Letters{Publisher: d.pub}).Mark(t.Context(), letter, events.LetterMark{
		State: events.LetterFailed, Account: a.ID, Last: d.clock.Now(), Text: "550 mailbox is full",
	})
	if err != nil {
		t.Fatal(err)
	}
	hidden := d.student("256790", otherNumber, func(a *account.Account) { a.Protection = "strictly_confidential" })
	for _, who := range []asked{{name: "256789"}, {name: "student:256789"}, {name: a.ID}, {number: someNumber}} {
		e, text := d.ask(who, "nn")
		if e.Account != a.ID || e.Answer != account.LetterRefused || !strings.Contains(text, "550 mailbox is full") || !slices.Equal(e.Also, []string{account.WindowClosed}) {
			t.Errorf("%+v is answered with %+v", who.name, e)
		}
		if !strings.Contains(text, "E-posttenaren") || !strings.Contains(text, "k***@kommune.example.org") || !strings.Contains(text, "2027-08-01 00:00") {
			t.Errorf("the answer does not say server, address and opening in nynorsk:\n%s", text)
		}
		for _, secret := range []string{someNumber, "Kari", "Zaqarias", "kari@", "Bakkenteigen", "MSC-QX"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is shown:\n%s", secret, text)
			}
		}
	}
	if e, text := d.ask(asked{name: "256790"}, "nb"); !e.Protected || strings.Contains(text, "kommune") || !strings.Contains(text, "Skjermet person") {
		t.Errorf("of a protected person is shown:\n%s", text)
	}
	if e, _ := d.ask(asked{number: "41814061033"}, "en"); e.Answer != account.NoEvent {
		t.Errorf("a number that nobody has is answered with %+v", e)
	}
	seen := d.lookUps(t)
	if seen[a.ID] != 4 || seen[hidden.ID] != 1 || seen[""] != 1 || len(seen) != 3 {
		t.Errorf("six look-ups are audited as %v", seen)
	}
}

// lookUps counts the facts that the helpdesk looked, by account.
func (d *desk) lookUps(t *testing.T) map[string]int {
	t.Helper()
	seen := map[string]int{}
	err := stream.Tail(t.Context(), d.js, stream.TailOptions{Filter: "audit." + events.AuditLookedUp + ".*"}, func(e events.Event) error {
		a := e.Data.(events.Audit)
		text, _ := json.Marshal(a)
		if a.Actor != (events.Actor{Kind: "it", ID: "helpdesk1"}) || strings.Contains(string(text), "2567") || strings.Contains(string(text), someNumber) {
			t.Errorf("the audit fact names somebody else, or what was searched for: %s", text)
		}
		seen[a.Account]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestExplainTellsOfDeadLettersAboutThePerson(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a := d.student("256789", someNumber, func(*account.Account) {})
	aside := &stream.Aside{Publisher: d.pub}
	for _, l := range []events.DeadLetter{
		{ID: "d1", Reason: events.ReasonInvalid, Subject: "admissions.student.registered.300001", Time: d.clock.Now()},
		{ID: "d2", Reason: events.ReasonParked, Subject: "hr.employee.registered.104711", Text: "one number on accounts x and " + a.ID, Time: d.clock.Now()},
	} {
		if err := aside.Bury(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	if e, text := d.ask(asked{name: "student:300001"}, "en"); e.Answer != account.RefusedEvent || !strings.Contains(text, "matricula dead replay d1") {
		t.Errorf("a refused registration is explained as %+v", e)
	}
	if e, text := d.ask(asked{name: "256789"}, "en"); e.Answer != account.Parked || !strings.Contains(text, "matricula dead show d2") {
		t.Errorf("a parked event that names the account is explained as %+v", e)
	}
	d.student("256791", otherNumber, func(a *account.Account) { a.State, a.Why.Reason = account.Active, account.WhyActivated })
	if err := aside.Bury(t.Context(), events.DeadLetter{ID: "d3", Reason: events.ReasonParked, Subject: "admissions.student.updated.256791", Time: d.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	if e, text := d.ask(asked{name: "256791"}, "en"); e.Answer != account.IsActive || !strings.Contains(text, "waits for a human since 2027-07-25 12:00") {
		t.Errorf("what was parked about somebody active is explained as %s", text)
	}
}

func TestIdentityNumbersComeFromStandardInputOnly(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{someNumber}, {}, {"a", "b"}} {
		if _, err := askedFor(strings.NewReader(""), args, ""); exitCode(err) != exitUsage || err != nil && strings.Contains(err.Error(), someNumber) {
			t.Errorf("%d arguments are answered with %v", len(args), err)
		}
	}
	if _, err := askedFor(strings.NewReader(""), nil, someNumber); exitCode(err) != exitUsage || strings.Contains(err.Error(), someNumber) {
		t.Errorf("a number on the command line is answered with %v", err)
	}
	if who, err := askedFor(strings.NewReader("179120 99997\n"), nil, "-"); err != nil || who.number != someNumber {
		t.Errorf("standard input is not read: %v", err)
	}
}

func TestWindowsSaysWhoIsNotReadyAndWhy(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ready := d.student("256789", someNumber, func(*account.Account) {})
	d.student("256790", otherNumber, func(a *account.Account) { a.Address, a.Invitations = "", nil })
	if err := d.pub.Publish(t.Context(), events.Once("l1", d.clock.Now(), events.Audit{
		What: events.AuditLetterSent, Account: ready.ID, Actor: events.Actor{Kind: "worker"}, Outcome: "done", Details: map[string]string{"template": "activation"},
	})); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := &cobra.Command{}
	c.SetContext(t.Context())
	c.SetOut(&out)
	if err := d.printUnready(c, d.people, "helpdesk1", "en", false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 4 || !strings.Contains(lines[1], "256789") || !strings.Contains(lines[1], "Nothing is in the way") ||
		!strings.Contains(lines[2], "256790") || !strings.Contains(lines[2], "no private address") {
		t.Errorf("it is not said who is not ready and why:\n%s", out.String())
	}
	if seen := d.lookUps(t); seen[""] != 1 || len(seen) != 1 {
		t.Errorf("a list is audited as %v", seen)
	}
	if err := d.printUnready(c, d.people, "", "en", false); exitCode(err) != exitUsage {
		t.Errorf("somebody without a name looks: %v", err)
	}
}
