package directory_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/testkit"
)

// student is what admissions' registration makes.
func student(i int) account.Account {
	at := time.Date(2027, 4, 1, 9, 0, 0, 0, time.UTC)
	a := person(i)
	a.Origin = fmt.Sprintf("urn:usn:admissions/%d", i)
	a.Why = account.Why{Reason: account.WhyRegistered, Since: at, By: "admissions"}
	a.BirthDate, a.Language, a.Protection = "2005-05-17", "nb", "none"
	a.Address, a.Mobile = fmt.Sprintf("ola%d@example.org", i), "+4790000000"
	a.Numbers = []account.Number{{Type: "so", Value: fmt.Sprintf("%011d", i), Since: at}}
	a.Roles = []account.Role{{Kind: account.Student, Key: fmt.Sprint(100000 + i), ID: "1", Start: "2027-08-16", Campus: "Kongsberg", Term: "2027-autumn", Since: at}}
	a.Handles = append(a.Handles, fmt.Sprintf("num.%026d", i))
	for _, facet := range []string{account.FacetProfile, account.FacetRoles} {
		a.Marks = append(a.Marks, account.Mark{Source: "urn:usn:admissions", Subject: fmt.Sprint(100000 + i), Facet: facet, Time: at, Changed: true})
	}
	return a
}

// each runs f for 0 … n-1 on some goroutines and answers how many per second.
func each(b *testing.B, n, goroutines int, f func(i int) error) float64 {
	b.Helper()
	begun := time.Now()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < n; i += goroutines {
				if err := f(i); err != nil {
					b.Errorf("%d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(begun).Seconds()
}

// Run with -bench Against -benchtime 1x: the same entries through Create and
// through ldapadd, each into a fresh server, by turns.
func BenchmarkCreateAgainstLDAPAdd(b *testing.B) {
	program, err := exec.LookPath("ldapadd")
	if err != nil {
		b.Skip("ldapadd is missing")
	}
	const people = 2000
	var ours, theirs float64
	for b.Loop() {
		s := testkit.Slapd(b)
		d := open(b, config(s, s.Worker))
		ours = each(b, people, 8, func(i int) error { return d.Create(b.Context(), student(i)) })

		s = testkit.Slapd(b)
		var ldif strings.Builder
		for i := range people {
			ldif.WriteString(directory.LDIF(b, d, student(i)))
		}
		file, secret := filepath.Join(s.Dir, "people.ldif"), filepath.Join(s.Dir, "secret")
		for name, text := range map[string]string{file: ldif.String(), secret: s.Worker.Password} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		begun := time.Now()
		if out, err := exec.Command(program, "-x", "-H", s.URL, "-D", s.Worker.DN, "-y", secret, "-f", file).CombinedOutput(); err != nil {
			b.Fatalf("ldapadd: %v\n%.500s", err, out)
		}
		theirs = people / time.Since(begun).Seconds()
		if n := len(s.Search(b, s.Admin, "(objectClass=matriculaAccount)", "uid")); n != people {
			b.Fatalf("ldapadd made %d of %d entries", n, people)
		}
	}
	b.ReportMetric(ours, "ours/s")
	b.ReportMetric(theirs, "ldapadd/s")
	b.ReportMetric(ours/theirs, "ratio")
}

// Activations: the write alone, with a hash that costs nothing, and whole.
func BenchmarkActivate(b *testing.B) {
	for name, costs := range map[string]directory.Argon2{"Write": cheap, "WithHash": directory.DefaultArgon2()} {
		b.Run(name, func(b *testing.B) {
			s := testkit.Slapd(b)
			c := config(s, s.Portal)
			c.Argon2 = costs
			worker, portal := open(b, config(s, s.Worker)), open(b, c)
			n := 0
			create := func(count int) []account.Account {
				list := make([]account.Account, count)
				each(b, count, 8, func(i int) error {
					a := student(n + i)
					if err := worker.Create(b.Context(), a); err != nil {
						return err
					}
					var err error
					list[i], err = portal.Find(b.Context(), account.Key{Kind: account.ByID, Value: a.ID})
					return err
				})
				n += count
				return list
			}
			var rate float64
			for b.Loop() {
				b.StopTimer()
				list := create(200)
				b.StartTimer()
				rate = each(b, len(list), 8, func(i int) error {
					return portal.SetPassword(b.Context(), list[i], clicked(list[i]), "et langt og godt passord")
				})
			}
			b.ReportMetric(rate, "activations/s")
		})
	}
}
