package table

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// kratosRows: what one would use instead of the portal, with our hash in memory
// and on a disk, and on a disk as it comes.
func kratosRows(t testing.TB, r *report, work string, program []string, ours float64, span time.Duration) {
	t.Helper()
	line := func(name, where string, rate float64, hash string) {
		r.value("activations.kratos"+name, rate)
		r.add(row{
			work: work, what: "Ory Kratos 1.3.1 registration, " + where + ", " + hash, figure: fmt.Sprintf("%.1f/s", rate),
			ratio: ours / rate, goal: "ours ≥ 2 × this", met: ours >= 2*rate,
		})
	}
	r.doing("activations: Kratos in memory")
	rate, hash := kratosRate(t, program, "memory", sameHasher(), []int{2, 4, 8}, span)
	line("", "memory", rate, hash+" as ours")
	db, err := newPostgres(t)
	if err == nil {
		err = db.migrate(program)
	}
	if errors.Is(err, errNotInstalled) {
		r.add(row{work: work, what: "Ory Kratos 1.3.1 registration, PostgreSQL", figure: "not installed"})
		return
	}
	if err != nil {
		t.Errorf("kratos with postgres: %v", err)
		return
	}
	r.doing("activations: Kratos with PostgreSQL")
	rate, hash = kratosRate(t, program, db.DSN, sameHasher(), []int{2, 4, 8}, span)
	line(".postgres", "PostgreSQL "+db.Version, rate, hash+" as ours")
	r.doing("activations: Kratos with PostgreSQL and its own hasher")
	rate, hash = kratosRate(t, program, db.DSN, "", []int{2, 4}, span)
	r.KratosHash = hash
	line(".shipped", "PostgreSQL "+db.Version, rate, "its own default hasher: "+hash)
}
