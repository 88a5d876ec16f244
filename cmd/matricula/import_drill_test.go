package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

// drilled is one of them: as the directory has them, and as the feeds do.
type drilled struct {
	old
	number string // that the feeds name
	family string
}

// words of the crypt scheme, from its specification, so that nothing has to
// compute it here.
const (
	cryptWord = "Hello world!"
	cryptHash = "{CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
	otherWord = "et passord fra før"
)

// drillPeople are so many; of the employees a number study, too, and others
// have another name at HR than in the directory. The first two have one number.
func drillPeople(t *testing.T, employees, students int) []drilled {
	t.Helper()
	numbers := synthetic(employees + students)
	hashes := []string{testkit.SSHA(otherWord, "salt"), testkit.Argon2(otherWord), cryptHash}
	people := make([]drilled, employees+students)
	for i := range people {
		p := &people[i]
		p.username, p.given, p.old.family = fmt.Sprintf("pr%05d", i), "Prøve"+word(fmt.Sprint(i)), "Nordmann"
		p.nin, p.number, p.family, p.hash = numbers[i], numbers[i], p.old.family, hashes[i%len(hashes)]
		if i < employees {
			p.employee = fmt.Sprint(100000 + i)
		}
		if i < employees/12 || i >= employees {
			p.student = fmt.Sprint(250000 + i)
		}
		if i < employees && i >= employees-employees/24 {
			p.family = "Nygift"
		}
		if i >= employees && i < employees+students/40 { // known by a D-number when they came
			p.nin = dNumber(t, numbers[i])
		}
	}
	people[1].nin = people[0].nin
	return people
}

// feed is what HR and admissions publish of everybody.
func feed(people []drilled, at time.Time) (out []events.Event) {
	for _, p := range people {
		ids := []events.Identifier{{Type: "fnr", Value: p.number}}
		name, contact := events.Name{Given: p.given, Family: p.family}, events.Contact{Email: p.username + "@example.org"}
		if p.employee != "" {
			out = append(out, events.Event{
				Meta: events.Meta{ID: "hr-" + p.employee, Source: events.SourceHR, Subject: p.employee, Time: at},
				Data: events.EmployeeRegistered{Employee: events.Employee{
					EmployeeNo: p.employee, Name: name, BirthDate: "1984-03-02", Identifiers: ids, Language: "nb", Contact: contact,
					Employments: []events.Employment{{ID: "1", Start: "2020-01-01", Unit: "USN-HH", Title: "Lektor"}},
				}},
			})
		}
		if p.student != "" {
			out = append(out, events.Event{
				Meta: events.Meta{ID: "adm-" + p.student, Source: events.SourceAdmissions, Subject: p.student, Time: at},
				Data: events.StudentRegistered{Student: events.Student{
					StudentNo: p.student, Name: name, BirthDate: "1984-03-02", Identifiers: ids, Language: "nn", Contact: contact,
					Programmes: []events.Programme{{ID: "1", Code: "MSC-SE", Start: "2025-08-16"}},
				}},
			})
		}
	}
	return out
}

// passwords are the hashes by username, byte for byte.
func (r *rig) passwords() map[string]string {
	r.t.Helper()
	out := map[string]string{}
	for _, e := range r.slapd.Search(r.t, r.slapd.Admin, "(objectClass=inetOrgPerson)", "uid", "userPassword") {
		out[e.GetAttributeValue("uid")] = e.GetAttributeValue("userPassword")
	}
	return out
}

// caughtUp waits until the worker has nothing before it and nothing unsaid.
func (r *rig) caughtUp(within time.Duration) {
	r.t.Helper()
	st, err := r.operator().Stream(r.t.Context(), stream.Intake)
	if err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, within, "every event is handled and told of", func() (bool, string) {
		behind := uint64(0)
		for i := range st.ListConsumers(r.t.Context()).Info() {
			behind += i.NumPending + uint64(i.NumAckPending)
		}
		unsent := -1
		if behind == 0 {
			unsent = len(r.slapd.Search(r.t, r.slapd.Admin, "(matriculaUnsent=*)", "1.1"))
		}
		return behind == 0 && unsent == 0, fmt.Sprint(behind, " events, ", unsent, " entries")
	})
}

func (r *rig) claims() map[string]string {
	r.t.Helper()
	held := map[string]string{}
	l := stream.Ledger{JS: r.operator()}
	if err := l.Each(r.t.Context(), func(key string, value []byte) { held[key] = string(value) }); err != nil {
		r.t.Fatal(err)
	}
	return held
}

// overTheDay loads people, imports them and lets both feeds tell of them.
func (r *rig) overTheDay(people []drilled, retired string) {
	t := r.t
	entries := make([]old, len(people))
	for i, p := range people {
		entries[i] = p.old
	}
	r.load(entries...)
	begun := time.Now()
	lap := func(what string) {
		t.Logf("%-8s %s", what, time.Since(begun).Round(time.Millisecond))
		begun = time.Now()
	}
	before := r.slapd.Slapcat(t)
	r.planned(exitRefused, "--retired", retired)
	if r.slapd.Slapcat(t) != before || stored(t, r.operator(), "KV_"+stream.BucketClaims) != 0 {
		t.Fatal("a dry run wrote something")
	}
	lap("dry run")
	rows := r.planned(exitRefused, "--retired", retired, "--apply")
	lap("import")
	for i, p := range people {
		want := "adopted"
		if i < 2 {
			want = "left"
		}
		if got := rows[p.username]; got.Outcome != want || i < 2 && got.Conflict != account.ConflictNumber {
			t.Fatalf("%s: %+v", p.username, got)
		}
	}
	r.start("worker")
	r.publish(feed(people, time.Now().Add(-time.Hour))...)
	r.caughtUp(3 * time.Minute)
	lap("feeds")
}

// A university of 2,000 goes over: everybody keeps account and password, nobody
// is written to, nobody is there twice, and what was unclear is parked.
func TestGoLiveDrill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	people := drillPeople(t, 1200, 800)
	hashes := map[string]string{}
	for _, p := range people {
		hashes[p.username] = p.hash
	}
	r.overTheDay(people, r.file("retired.txt", "kainor\nolanor\n"))
	r.drillHolds(people, hashes)
	r.drillNewcomer(len(people))
}

// drillHolds is what must be true once both feeds have told of everybody.
func (r *rig) drillHolds(people []drilled, hashes map[string]string) {
	t := r.t
	if now := r.passwords(); !maps.Equal(now, hashes) {
		t.Errorf("passwords changed, or people: %d entries, %d before", len(now), len(hashes))
	}
	for _, letters := range []string{stream.Mail, stream.Wait} {
		if n := stored(t, r.operator(), letters); n != 0 {
			t.Errorf("%s has taken %d messages: a letter was written", letters, n)
		}
	}
	by := map[string]*ldap.Entry{}
	for _, e := range r.entries("(objectClass=inetOrgPerson)") {
		by[e.GetAttributeValue("uid")] = e
	}
	for i, p := range people[2:] {
		e := by[p.username]
		lins, affiliations := e.GetAttributeValues("norEduPersonLIN"), e.GetAttributeValues("eduPersonAffiliation")
		switch told := strings.Join(e.GetAttributeValues("matriculaTold"), " "); {
		case !strings.HasSuffix(e.GetAttributeValue("schacUserStatus"), ":active"):
			t.Errorf("%s is %s", p.username, e.GetAttributeValue("schacUserStatus"))
		case e.GetAttributeValue("sn") != p.family || e.GetAttributeValue("norEduPersonLegalName") != p.given+" "+p.family:
			t.Errorf("%s is called %q", p.username, e.GetAttributeValue("cn"))
		case e.GetAttributeValue("norEduPersonNIN") != p.number:
			t.Errorf("%s has not the number that the feed names", p.username)
		case p.employee != "" && (!strings.Contains(told, p.employee) || !slices.Contains(lins, r.slapd.Realm+":employee:"+p.employee) || !slices.Contains(affiliations, "faculty")):
			t.Errorf("%s is no employee: %q %q", p.username, lins, affiliations)
		case p.student != "" && (!strings.Contains(told, p.student) || !slices.Contains(lins, r.slapd.Realm+":student:"+p.student) || !slices.Contains(affiliations, "student")):
			t.Errorf("%s is no student: %q %q", p.username, lins, affiliations)
		}
		if i%41 == 0 {
			password := otherWord
			if p.hash == cryptHash {
				password = cryptWord
			}
			if _, err := r.slapd.Whoami(r.slapd.Person(p.username, password)); err != nil {
				t.Errorf("%s can no longer sign in with %s: %v", p.username, p.hash[:8], err)
			}
		}
	}
	facts := map[string]int{}
	for fact, n := range r.facts() {
		what, _, _ := strings.Cut(fact, " ")
		facts[what] += n
	}
	if facts[events.AuditAdopted] != len(people)-2 || facts[events.AuditCreated] != 0 || facts[events.AuditInvited] != 0 {
		t.Errorf("the audit stream says %v", facts)
	}
	out, _ := r.run("dead", "list", "--json")
	if n := strings.Count(out, `"reason":"`+events.ReasonParked+`"`); n != 2+2 || strings.Count(out, "\n") != n { // both are at HR and in admissions
		t.Errorf("%d dead letters are parked, not those about the two with one number:\n%s", n, out)
	}
	if out, code := r.run("import", "--unheard"); code != exitDone || strings.Count(out, "\n") != 1 {
		t.Errorf("of everybody a feed has told, and yet: %s", out)
	}
}

// drillNewcomer: a retired name is not given to the next of that name.
func (r *rig) drillNewcomer(known int) {
	kai := employeeNo(r.t, 7)
	kai.number = synthetic(known + 1)[known]
	e := kai.registered(time.Now().Add(-time.Minute))
	hr, _ := e.Data.(events.EmployeeRegistered)
	hr.Name = events.Name{Given: "Kai", Family: "Nordmann"}
	e.Data = hr
	r.publish(e)
	if got := r.entry(kai).GetAttributeValue("uid"); got != "kainor2" {
		r.t.Errorf("the next Kai Nordmann is %s; kainor is retired", got)
	}
}

// The claims are lost and made again from the entries; every event that there
// ever was then finds everybody.
func TestClaimsAreMadeAgainAndEveryEventFindsEverybody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	retired := r.file("retired.txt", "kainor\n")
	people := drillPeople(t, 48, 40)
	r.overTheDay(people, retired)
	closed := employeeNo(t, 1)
	closed.number = synthetic(100)[99]
	r.publish(closed.registered(time.Now().Add(-time.Minute)))
	r.entry(closed)
	r.caughtUp(time.Minute)
	r.stop("worker")
	before, entries := r.claims(), r.snapshot()
	if err := r.operator().DeleteStream(t.Context(), "KV_"+stream.BucketClaims); err != nil {
		t.Fatal(err)
	}
	if out, code := r.run("setup"); code != exitDone {
		t.Fatalf("setup: %s", out)
	}
	if out, code := r.run("claims", "rebuild"); code != exitDone || len(r.claims()) != 0 {
		t.Errorf("a dry run ended with %d and left %d claims: %s", code, len(r.claims()), out)
	}
	if out, code := r.run("claims", "rebuild", "--retired", retired, "--apply", "--quiet"); code != exitDone {
		t.Fatalf("claims rebuild ended with %d: %s", code, out)
	}
	r.planned(exitRefused, "--apply") // the two with one number stand in no account: reserved again
	st, err := r.operator().Stream(t.Context(), stream.Intake)
	if err != nil {
		t.Fatal(err)
	}
	for lane := range st.ListConsumers(t.Context()).Info() {
		if _, err := r.operator().ResetConsumerToSequence(t.Context(), stream.Intake, lane.Name, 1); err != nil {
			t.Fatal(err)
		}
	}
	r.start("worker")
	r.caughtUp(time.Minute)
	if now := r.snapshot(); now != entries {
		t.Errorf("handling every event again changed something:\n%s\n--- before\n%s", now, entries)
	}
	after := r.claims()
	for key, was := range before {
		if after[key] != was {
			t.Errorf("claim %s says %q, not %q", key, after[key], was)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d claims were made again, %d were there", len(after), len(before))
	}
	r.keyChanges(people[10:13])
}

// keyChanges: at every step of a change of the key people whom HR knows are
// found by their number when admissions announces them.
func (r *rig) keyChanges(people []drilled) {
	t, key := r.t, filepath.Join(r.dir, "data", "keys", "claims.key")
	entries := len(r.entries("(objectClass=inetOrgPerson)"))
	found := func(i int, when string) {
		t.Helper()
		r.stop("worker")
		r.start("worker")
		p := people[i]
		p.employee, p.student = "", fmt.Sprint(260000+i)
		r.publish(feed([]drilled{p}, time.Now().Add(-time.Minute))...)
		eventually(t, 60*time.Second, p.username+" is known "+when, func() (bool, string) {
			e := r.entries("(uid=" + p.username + ")")[0]
			return slices.Contains(e.GetAttributeValues("norEduPersonLIN"), r.slapd.Realm+":student:"+p.student), fmt.Sprint(e.Attributes)
		})
	}
	must := func(args ...string) string {
		t.Helper()
		out, code := r.run(args...)
		if code != exitDone {
			t.Fatalf("%v ended with %d: %s", args, code, out)
		}
		return out
	}
	must("claims", "add-key")
	found(0, "while both keys are in force")
	must("claims", "rebuild", "--apply", "--quiet")
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	keys := strings.Fields(string(text))
	if len(keys) != 2 || !strings.HasPrefix(keys[1], "2:") {
		t.Fatalf("the file has %d keys", len(keys))
	}
	if err := os.WriteFile(key, []byte(keys[1]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found(1, "with the new key alone")
	must("claims", "rebuild", "--key-version", "2", "--apply", "--quiet")
	for held := range r.claims() {
		if strings.Contains(held, ".1.") && !strings.Contains(r.claims()[held], `"pr0000`) { // what was reserved for the two stays
			t.Errorf("claim %s stands under the old key", held)
		}
	}
	for _, e := range r.entries("(matriculaHandle=*)") {
		for _, h := range e.GetAttributeValues("matriculaHandle") {
			if strings.Contains(h, ".1.") {
				t.Errorf("%s has a handle under the old key", e.DN)
			}
		}
	}
	found(2, "with no trace of the old key left")
	if out := must("claims", "rebuild", "--key-version", "2"); !strings.Contains(out, "would be 0 claims written, 0 handles added, 0 dropped") {
		t.Errorf("a second run finds something to do: %s", out)
	}
	if now := len(r.entries("(objectClass=inetOrgPerson)")); now != entries {
		t.Errorf("%d people became %d while the key was changed", entries, now)
	}
}
