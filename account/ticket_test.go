package account

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func testTickets() Tickets {
	return Tickets{Keys: [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}}
}

func TestTicketOpensAsWhatItWasSealedFor(t *testing.T) {
	t.Parallel()
	tk := testTickets()
	inv := newInvitation(PurposeReset, time.Now(), time.Now())
	ticket := tk.Seal(inv.ID, PurposeReset)
	if len(ticket) != 43 {
		t.Fatalf("ticket has %d characters, a link line has room for 43", len(ticket))
	}
	id, purpose, err := tk.Open(ticket)
	if err != nil || id != inv.ID || purpose != PurposeReset {
		t.Fatalf("opened as %q for %q with %v, sealed as %q for reset", id, purpose, err, inv.ID)
	}
}

func TestTicketOfTheOldKeyStillOpens(t *testing.T) {
	t.Parallel()
	old := Tickets{Keys: testTickets().Keys[1:]}
	inv := newInvitation(PurposeActivate, time.Now(), time.Now())
	if id, _, err := testTickets().Open(old.Seal(inv.ID, PurposeActivate)); err != nil || id != inv.ID {
		t.Fatalf("a letter under way lost its link when the key changed: %v", err)
	}
}

// T5, T12: every changed, cut, lengthened or otherwise spelled ticket is
// refused.
func TestChangedTicketIsRefused(t *testing.T) {
	t.Parallel()
	tk := testTickets()
	inv := newInvitation(PurposeActivate, time.Now(), time.Now())
	ticket := tk.Seal(inv.ID, PurposeActivate)
	var bad []string
	for i := range ticket {
		for _, c := range []byte("AQgw_-9z") {
			if ticket[i] != c {
				bad = append(bad, ticket[:i]+string(c)+ticket[i+1:])
			}
		}
		bad = append(bad, ticket[:i], ticket[i+1:])
	}
	bad = append(bad, "", ticket+"A", ticket+"=", ticket+"\n", " "+ticket, strings.ToUpper(ticket), strings.ToLower(ticket),
		strings.ReplaceAll(ticket, "_", "/"), inv.ID, tk.sealProof(inv.ID, PurposeActivate, time.Now().Add(time.Hour)))
	for _, b := range bad {
		if b == ticket {
			continue
		}
		if _, _, err := tk.Open(b); !errors.Is(err, ErrTicket) {
			t.Fatalf("ticket %q was taken for %q: %v", b, ticket, err)
		}
	}
}

// T9: a token of one purpose is none of another.
func TestProofIsNoTicketAndTicketNoProof(t *testing.T) {
	t.Parallel()
	tk, now := testTickets(), time.Now()
	inv := newInvitation(PurposeActivate, now, now)
	if _, _, err := tk.openProof(tk.Seal(inv.ID, PurposeActivate), now); !errors.Is(err, ErrProof) {
		t.Fatalf("a ticket passed as a proof: %v", err)
	}
	proof := tk.sealProof(inv.ID, PurposeReset, now.Add(time.Minute))
	if _, purpose, err := tk.openProof(proof, now); err != nil || purpose != PurposeReset {
		t.Fatalf("proof for a reset opened as %q: %v", purpose, err)
	}
}

// T11: expiry is held at use, to the second.
func TestProofExpires(t *testing.T) {
	t.Parallel()
	tk, now := testTickets(), time.Unix(1_800_000_000, 0)
	inv := newInvitation(PurposeActivate, now, now)
	proof := tk.sealProof(inv.ID, PurposeActivate, now)
	if _, _, err := tk.openProof(proof, now); err != nil {
		t.Fatalf("proof refused within its time: %v", err)
	}
	if _, _, err := tk.openProof(proof, now.Add(time.Second)); !errors.Is(err, ErrProof) {
		t.Fatalf("proof taken a second too late: %v", err)
	}
	for i := range proof {
		c := byte('A')
		if proof[i] == c {
			c = 'B'
		}
		changed := proof[:i] + string(c) + proof[i+1:]
		if id, _, err := tk.openProof(changed, now); err == nil {
			t.Fatalf("proof changed at %d was taken, for %q", i, id)
		}
	}
}

func TestTicketWithoutKeyIsEmpty(t *testing.T) {
	t.Parallel()
	if got := (Tickets{}).Seal(newInvitation(PurposeActivate, time.Now(), time.Now()).ID, PurposeActivate); got != "" {
		t.Fatalf("sealed %q without a key", got)
	}
	if got := testTickets().Seal("not an invitation", PurposeActivate); got != "" {
		t.Fatalf("sealed %q for what is no invitation", got)
	}
}
