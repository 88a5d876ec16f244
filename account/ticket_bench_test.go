package account

import (
	"testing"
	"time"
)

// BenchmarkTicket seals and opens a link's ticket: the first is done for each
// letter, the second for each look at a link, the last for each made-up one.
func BenchmarkTicket(b *testing.B) {
	tk := testTickets()
	inv := newInvitation(PurposeReset, time.Now(), time.Now())
	ticket := tk.Seal(inv.ID, PurposeReset)
	changed := "A" + ticket[1:]
	if changed == ticket {
		changed = "B" + ticket[1:]
	}
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			if tk.Seal(inv.ID, PurposeReset) == "" {
				b.Fatal("is not sealed")
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := tk.Open(ticket); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refuse", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := tk.Open(changed); err == nil {
				b.Fatal("a changed ticket opens")
			}
		}
	})
}
