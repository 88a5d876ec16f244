package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/policy"
	"usn.no/matricula/testkit"
)

// old is a person as the directory had them before us.
type old struct {
	username, given, family string
	nin, employee, student  string
	hash                    string   // empty: no password
	more                    []string // further lines of LDIF
}

// ldif is the entry, with attributes as directories fill them in. The values of
// one stand together: slapadd joins no others.
func (o old) ldif(s *testkit.SlapdServer) string {
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	say("dn: uid=%s,ou=people,%s", o.username, s.Base)
	say("objectClass: inetOrgPerson\nobjectClass: eduPerson\nobjectClass: norEduPerson\nobjectClass: schacUserEntitlements")
	say("uid: %s\ncn: %s %s\nsn: %s\ngivenName: %s\nmail: %s@%s", o.username, o.given, o.family, o.family, o.given, o.username, s.Realm)
	say("eduPersonPrincipalName: %s@%s", o.username, s.Realm)
	if o.nin != "" {
		say("norEduPersonNIN: %s", o.nin)
	}
	affiliations := []string{"member"}
	if o.employee != "" {
		say("norEduPersonLIN: %s:employee:%s", s.Realm, o.employee)
		affiliations = append(affiliations, "employee", "faculty")
	}
	if o.student != "" {
		say("norEduPersonLIN: %s:student:%s", s.Realm, o.student)
		affiliations = append(affiliations, "student")
	}
	say("eduPersonAffiliation: %s", strings.Join(affiliations, "\neduPersonAffiliation: "))
	if o.hash != "" {
		say("userPassword: %s", o.hash)
	}
	say("%s\n", strings.Join(append([]string{"description: from before"}, o.more...), "\n"))
	return b.String()
}

func (r *rig) load(people ...old) {
	r.t.Helper()
	var b strings.Builder
	for _, o := range people {
		b.WriteString(o.ldif(r.slapd))
	}
	r.slapd.Load(r.t, b.String())
}

// planned runs import and answers its rows by username.
func (r *rig) planned(want int, args ...string) map[string]planRow {
	r.t.Helper()
	cmd := r.command("", append([]string{"import", "--json", "--quiet"}, args...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != want {
		r.t.Fatalf("import %v ended with %d, not %d:\n%s%s", args, code, want, out, errs.String())
	}
	rows := map[string]planRow{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var row planRow
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			r.t.Fatalf("import prints %q: %v", line, err)
		}
		if _, twice := rows[row.Username]; twice {
			row.Username += " again"
		}
		rows[row.Username] = row
	}
	r.t.Log(strings.TrimSpace(errs.String()))
	return rows
}

// stored is how many messages a stream has ever taken.
func stored(t *testing.T, js jetstream.JetStream, name string) uint64 {
	t.Helper()
	st, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	i, err := st.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i.State.LastSeq
}

func ldapReplace(dn, attribute string, values ...string) *ldap.ModifyRequest {
	m := ldap.NewModifyRequest(dn, nil)
	m.Replace(attribute, values)
	return m
}

// synthetic makes identity numbers that nobody has (month + 80).
func synthetic(n int) (out []string) {
	for i := 0; len(out) < n; i++ {
		number, ok := checked(fmt.Sprintf("%02d%02d84%03d", i%28+1, i/28%12+81, i/336))
		if ok && policy.CheckNumber(policy.NumberFnr, number, policy.NumberOptions{Synthetic: true}) == nil {
			out = append(out, number)
		}
	}
	return out
}

// dNumber is the same person's number from before: the day + 40.
func dNumber(t *testing.T, fnr string) string {
	t.Helper()
	for i := range 500 {
		if number, ok := checked(string(fnr[0]+4) + fnr[1:6] + fmt.Sprintf("%03d", i)); ok {
			return number
		}
	}
	t.Fatal("no D-number for a birthday")
	return ""
}

// checked adds both check digits; there is none for some.
func checked(nine string) (string, bool) {
	for _, weights := range [][]int{{3, 7, 6, 1, 8, 9, 4, 5, 2}, {5, 4, 3, 2, 7, 6, 5, 4, 3, 2}} {
		sum := 0
		for i, w := range weights {
			sum += w * int(nine[i]-'0')
		}
		k := (11 - sum%11) % 11
		if k == 10 {
			return "", false
		}
		nine += fmt.Sprint(k)
	}
	return nine, true
}
