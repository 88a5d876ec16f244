package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// click is one as it was answered, from its beginning to its
// end.
type click struct {
	began, ended     int64
	password, answer string
}

// Seed 88726 of "directory": twenty clicks without an answer could not be
// decided within a minute.
func TestInvitationIsDecidedHoweverManyClicksHadNoAnswer(t *testing.T) {
	t.Parallel()
	const never = 1 << 40
	unanswered := func(more ...click) []click {
		var out []click
		for n := range 60 {
			out = append(out, click{int64(n), never, fmt.Sprint("lost-", n), "unknown"}, click{int64(n), never, fmt.Sprint("lost-", n), "unknown"})
		}
		return append(out, more...)
	}
	for _, row := range []struct {
		what    string
		history []click
		legal   bool
	}{
		{"one takes effect", unanswered(click{100, 110, "a", "done"}, click{111, 120, "b", "spent"}, click{200, 201, "a", "binds"}), true},
		{"one without an answer took effect", unanswered(click{100, 110, "b", "spent"}, click{200, 201, "lost-7", "binds"}), true},
		{"one without an answer took effect, which one is not known", unanswered(click{100, 110, "b", "spent"}), true},
		{"none took effect", unanswered(click{200, 201, "", "binds"}), true},
		{"it was used before anybody clicked", unanswered(click{-20, -10, "b", "spent"}, click{200, 201, "lost-7", "binds"}), false},
		{"it was used and nobody signs in", unanswered(click{100, 110, "b", "spent"}, click{200, 201, "", "binds"}), false},
		{"two took effect", unanswered(click{100, 110, "a", "done"}, click{111, 120, "b", "done"}), false},
		{"it was done and another signs in", unanswered(click{100, 110, "a", "done"}, click{200, 201, "lost-3", "binds"}), false},
		{"it was done after somebody was told that it was used", []click{{1, 2, "b", "spent"}, {3, 4, "a", "done"}, {5, 6, "a", "binds"}}, false},
		{"two tabs, one loses", []click{{1, 9, "a", "done"}, {2, 8, "b", "spent"}, {10, 11, "a", "binds"}}, true},
	} {
		var operations []porcupine.Operation
		for i, c := range row.history {
			operations = append(operations, porcupine.Operation{ClientId: i, Input: use{c.password, c.answer}, Call: c.began, Return: c.ended})
		}
		want := porcupine.Illegal
		if row.legal {
			want = porcupine.Ok
		}
		if got := porcupine.CheckOperationsTimeout(register, telling(operations), 2*time.Minute); got != want {
			t.Errorf("%s: %s, not %s", row.what, got, want)
		}
	}
}
