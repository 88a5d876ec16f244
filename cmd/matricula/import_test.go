package main

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

// Every way in which an existing entry can be unclear: it is left as it is, and
// said so; the others are taken over, also when the import was killed meanwhile.
func TestImportLeavesAloneWhatContradictsItselfAndSaysWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hash := testkit.SSHA("gammelt", "salt")
	n := func(i int) string { return tenor(t, i) }
	state := func(s string) []string {
		return []string{"schacUserStatus: urn:schac:userStatus:no:" + r.slapd.Realm + ":account:" + s}
	}
	dnr := "57912075186"
	people := []struct {
		old
		conflict, state string
		with            []string
		notes           []string
	}{
		{old: old{username: "kari", nin: n(1), employee: "1001", hash: hash}, state: "active"},
		{old: old{username: "both", nin: n(2), employee: "1002", student: "2002", hash: hash}, state: "active"},
		{old: old{username: "dnumber", nin: dnr, hash: hash}, state: "active"},
		{old: old{username: "nonumber", student: "2003", hash: hash}, state: "active"},
		{old: old{username: "Capital", nin: n(3), hash: hash}, state: "active"},
		{old: old{username: "nopass", nin: n(4), employee: "1004"}, state: "pending", notes: []string{account.NotePassword}},
		{old: old{username: "temporary", nin: "01512510074", student: "2005", hash: hash}, state: "active", notes: []string{account.NoteNumber}},
		{old: old{username: "passport", nin: "N 123456", student: "2009", hash: hash}, state: "active", notes: []string{account.NoteNumber}},
		{old: old{username: "locked", nin: n(6), hash: hash, more: []string{"pwdAccountLockedTime: 000001010000Z"}}, state: "suspended"},
		{old: old{username: "closed", nin: n(7), employee: "1007", hash: hash, more: state("closed")}, state: "closed"},
		{old: old{username: "phished", nin: n(8), employee: "1008", hash: hash, more: state("compromised")}, state: "suspended"},

		{old: old{username: "twin1", nin: n(10), employee: "1010", hash: hash}, conflict: account.ConflictNumber, with: []string{"twin2"}},
		{old: old{username: "twin2", nin: n(10), employee: "1011", hash: hash}, conflict: account.ConflictNumber, with: []string{"twin1"}},
		{old: old{username: "lin1", nin: n(12), student: "2012", hash: hash}, conflict: account.ConflictLIN, with: []string{"lin2"}},
		{old: old{username: "lin2", nin: n(13), student: "2012", hash: hash}, conflict: account.ConflictLIN, with: []string{"lin1"}},
		{old: old{username: "visitor", hash: hash}, conflict: account.ConflictUnknown},
		{old: old{username: "typo", nin: "17912099998", hash: hash}, conflict: account.ConflictUnknown, notes: []string{account.NoteNumber}},
		{old: old{username: "helpdesk", nin: n(15), hash: hash}, conflict: account.ConflictReserved},
		{old: old{username: "gone", nin: n(16), hash: hash}, conflict: account.ConflictRetired},
		{old: old{username: "kåre", nin: n(17), hash: hash}, conflict: account.ConflictUsername},
		{old: old{username: "odd", nin: n(18), hash: hash, more: state("sleeping")}, conflict: account.ConflictStatus},
		{old: old{username: "waiting", nin: n(19), hash: hash, more: state("pending")}, conflict: account.ConflictStatus},
		{
			old:      old{username: "former", nin: n(20), hash: hash, more: []string{"eduPersonPrincipalNamePrior: heir@" + r.slapd.Realm}},
			conflict: account.ConflictName, with: []string{"heir"},
		},
		{old: old{username: "heir", nin: n(21), hash: hash}, conflict: account.ConflictName, with: []string{"former"}},
		{
			old:      old{username: "expired", nin: n(22), hash: hash, more: []string{"schacUserStatus: urn:schac:userStatus:no:other.example:mail:expired"}},
			conflict: account.ConflictRefused,
		},
	}
	var all []old
	for i := range people {
		people[i].given, people[i].family = "Prøve", "Person"
		all = append(all, people[i].old)
	}
	r.load(all...)
	retired := r.file("retired.txt", "# names of people who left\nolaold\nGone\nå-is-no-username\n")
	before := r.slapd.Slapcat(t)
	r.planned(exitRefused, "--retired", retired)
	if now := r.slapd.Slapcat(t); now != before {
		t.Error("a dry run changed the directory")
	}
	if n := stored(t, r.operator(), "KV_"+stream.BucketClaims); n != 0 {
		t.Errorf("a dry run made %d claims", n)
	}
	broken := r.command("claims.take.after=6", "import", "--retired", retired, "--apply", "--quiet")
	if err := broken.Run(); err == nil || broken.ProcessState.ExitCode() != -1 {
		t.Fatalf("the import did not kill itself: %v", err)
	}
	rows := r.planned(exitRefused, "--retired", retired, "--apply")
	if len(rows) <= 14 {
		t.Errorf("nothing was left to the second run: %v", rows)
	}
	for _, p := range people {
		row, left := rows[p.username]
		if !left && p.conflict == "" { // done before it was broken off
			row = planRow{Username: p.username, Outcome: "adopted", State: p.state, Notes: p.notes}
		}
		want := planRow{Username: p.username, Outcome: "adopted", Account: row.Account, State: p.state, Notes: p.notes}
		if p.conflict != "" {
			want = planRow{Username: p.username, Outcome: "left", Conflict: p.conflict, With: p.with, Notes: p.notes}
		}
		if fmt.Sprint(row) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, not %+v", p.username, row, want)
		}
		e := r.entries("(uid=" + p.username + ")")[0]
		if got := e.GetAttributeValue("matriculaId") != ""; got != (p.conflict == "") {
			t.Errorf("%s is an account: %t", p.username, got)
		}
		if n := len(e.GetAttributeValues("matriculaUnsent")); (n == 1) != (p.conflict == "") {
			t.Errorf("%s has %d facts to tell of", p.username, n)
		}
		if p.conflict != "" && (e.GetAttributeValue("matriculaRevision") != "" || slices.Contains(e.GetAttributeValues("objectClass"), "matriculaAccount")) {
			t.Errorf("%s is left half done", p.username)
		}
		if e.GetAttributeValue("userPassword") != p.hash {
			t.Errorf("the password of %s changed", p.username)
		}
		_, err := r.slapd.Whoami(r.slapd.Person(p.username, "gammelt"))
		if (err == nil) != (p.state == "active") {
			t.Errorf("%s, %s, can sign in: %t", p.username, p.state, err == nil)
		}
	}
	again := r.planned(exitRefused, "--retired", retired, "--apply")
	if len(again) != 14 {
		t.Errorf("a second run is about %d entries, not those 14 that were left: %v", len(again), again)
	}
	if guest := r.planned(exitRefused, "--retired", retired, "--unknown", "--apply")["visitor"]; guest.Outcome != "adopted" || guest.State != "active" {
		t.Errorf("a guest is not taken over when asked for: %+v", guest)
	}
	undated(t, r, "kari", "gammelt")
}

// undated looks at somebody of whom the directory before did not say when the
// password was set, in every place where that would stand.
func undated(t *testing.T, r *rig, username, password string) {
	t.Helper()
	r.start("portal")
	c := r.click(someone{})
	in := c.do("/signin", url.Values{"username": {username}, "password": {password}})
	if in.Path != "/rules/accept" {
		t.Fatalf("signing in ended on %s with %d", in.Path, in.Status)
	}
	form := c.get(r.base + "/rules/accept")
	if at := c.must(c.v.submit(t.Context(), form, r.base, "/rules/accept", url.Values{"accept": {"yes"}})); at.Path != "/account" {
		t.Fatalf("accepting the rules ended on %s with %d", at.Path, at.Status)
	}
	shown := map[string]string{}
	for lang, says := range map[string]string{"nb": "Datoen er ikke kjent", "nn": "Datoen er ikkje kjend", "en": "The date is not known"} {
		resp, err := c.v.client.Get(r.base + "/account?lang=" + lang)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || strings.Count(string(body), says) != 3 {
			t.Errorf("of registration, activation and password the page in %s does not say %q (%v):\n%s", lang, says, err, body)
		}
		shown["the page in "+lang] = string(body)
	}
	for lang, says := range map[string]string{"nb": "siden når er ikke kjent", "nn": "sidan når er ikkje kjent", "en": "since when is not known"} {
		out, code := r.run("account", "explain", username, "--language", lang, "--actor", "ola.drift")
		if code != exitDone || !strings.Contains(out, says) {
			t.Errorf("the explanation in %s ended with %d and does not say %q:\n%s", lang, code, says, out)
		}
		shown["the explanation in "+lang] = out
	}
	for _, args := range [][]string{{"explain", username, "--json"}, {"show", username}, {"show", username, "--json"}, {"show", "closed"}, {"list"}, {"list", "--json"}} {
		out, code := r.run(append([]string{"account"}, append(args, "--actor", "ola.drift")...)...)
		if code != exitDone || !strings.Contains(out, "active") && !strings.Contains(out, "employee (over)") {
			t.Errorf("account %v ended with %d:\n%s", args, code, out)
		}
		if args[0] == "show" && args[1] == username && len(args) == 2 && strings.Count(out, "unknown") != 2 {
			t.Errorf("account show does not say that state and password are of an unknown date:\n%s", out)
		}
		shown[strings.Join(args, " ")] = out
	}
	shown["windows"], _ = r.run("windows", "--json")
	for where, text := range shown {
		if strings.Contains(text, "1970") {
			t.Errorf("%s shows a date that nobody knows:\n%s", where, text)
		}
	}
}

// What was left is mended, imported, and its event replayed: nobody was made
// twice meanwhile.
func TestEventsAboutEntriesInConflictWaitUntilTheyAreMended(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second, shared := employeeNo(t, 1), employeeNo(t, 2), employeeNo(t, 3)
	hash := testkit.SSHA("gammelt", "salt")
	r.load(
		old{username: "prønor", given: "P", family: "N", nin: tenor(t, 9), hash: hash},
		old{username: "twin1", given: "P", family: "N", nin: shared.number, employee: first.no, hash: hash},
		old{username: "twin2", given: "P", family: "N", nin: shared.number, employee: second.no, hash: hash})
	r.planned(exitRefused, "--apply")
	r.start("worker")
	first.number = shared.number
	at := time.Now().Add(-time.Minute)
	r.publish(first.registered(at), second.registered(at))
	eventually(t, 60*time.Second, "both events parked", func() (bool, string) {
		out, _ := r.run("dead", "list", "--reason", events.ReasonParked, "--json")
		return strings.Count(out, "\n") == 2, out
	})
	if n := len(r.entries("(objectClass=matriculaAccount)")); n != 0 {
		t.Errorf("%d accounts were made for people in conflict", n)
	}
	c := r.slapd.Conn(t, r.slapd.Admin)
	m := ldapReplace("uid=twin1,ou=people,"+r.slapd.Base, "norEduPersonNIN")
	if err := c.Modify(m); err != nil {
		t.Fatal(err)
	}
	if err := c.Modify(ldapReplace("uid=twin2,ou=people,"+r.slapd.Base, "norEduPersonNIN", second.number)); err != nil {
		t.Fatal(err)
	}
	r.planned(exitRefused, "--apply")
	out, _ := r.run("dead", "list", "--reason", events.ReasonParked, "--json")
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		id := strings.Split(line, `"`)[3]
		if text, code := r.run("dead", "replay", id); code != exitDone {
			t.Fatalf("replay ended with %d: %s", code, text)
		}
	}
	for username, p := range map[string]someone{"twin1": first, "twin2": second} {
		eventually(t, 60*time.Second, username+" hears from HR", func() (bool, string) {
			e := r.entries("(uid=" + username + ")")[0]
			return strings.Contains(strings.Join(e.GetAttributeValues("matriculaTold"), " "), p.no) && e.GetAttributeValue("norEduPersonNIN") == p.number,
				fmt.Sprint(e.Attributes)
		})
	}
	if n := len(r.entries("(objectClass=inetOrgPerson)")); n != 3 {
		t.Errorf("there are %d people, not the 3 from before", n)
	}
}
