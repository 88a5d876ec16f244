package account

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"
	"time"
)

// BenchmarkTicket seals and opens a link's ticket: the first is done for each
// letter, the second for each look at a link, the last for each made-up one.
// of-peer is the speed beside the bare MAC of as many bytes, taken right after:
// one that is made up is tried for each purpose.
func BenchmarkTicket(b *testing.B) {
	tk := testTickets()
	inv := newInvitation(PurposeReset, time.Now(), time.Now())
	ticket := tk.Seal(inv.ID, PurposeReset)
	changed := "A" + ticket[1:]
	if changed == ticket {
		changed = "B" + ticket[1:]
	}
	beside := func(b *testing.B) {
		b.Helper()
		ours, began := b.Elapsed(), time.Now()
		for range b.N {
			h := hmac.New(sha256.New, tk.Keys[0])
			_, _ = h.Write([]byte("matricula ticket v1\x00reset\x00"))
			_, _ = h.Write([]byte(inv.ID[:invitationSize]))
			if len(h.Sum(nil)) != sha256.Size {
				b.Fatal("no MAC")
			}
		}
		b.ReportMetric(time.Since(began).Seconds()/ours.Seconds(), "of-peer")
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if tk.Seal(inv.ID, PurposeReset) == "" {
				b.Fatal("is not sealed")
			}
		}
		beside(b)
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := tk.Open(ticket); err != nil {
				b.Fatal(err)
			}
		}
		beside(b)
	})
	b.Run("refuse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := tk.Open(changed); err == nil {
				b.Fatal("a changed ticket opens")
			}
		}
		beside(b)
	})
}
