package events_test

import (
	"fmt"
	"strings"
	"testing"

	"usn.no/matricula/events"
)

func sealedPIN(t *testing.T, h events.PINHolder) (events.SealKey, string) {
	t.Helper()
	key, err := events.GenerateSealKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := events.SealPIN(key.Public(), "acc1", "Drammen", 7, h)
	if err != nil {
		t.Fatal(err)
	}
	return key, sealed
}

func TestPINOpensForItsOwnAccountCampusAndSequenceOnly(t *testing.T) {
	t.Parallel()
	key, sealed := sealedPIN(t, events.PINHolder{PIN: "8361", Username: "karnor", Numbers: []string{"employee:104711"}})
	h, err := events.OpenPIN(key, "acc1", " drammen", 7, sealed)
	if err != nil || h.PIN != "8361" || h.Username != "karnor" || len(h.Numbers) != 1 {
		t.Fatalf("opened: %v, %v", h, err)
	}
	other, err := events.GenerateSealKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (events.PINHolder, error){
		"another account":  func() (events.PINHolder, error) { return events.OpenPIN(key, "acc2", "Drammen", 7, sealed) },
		"another campus":   func() (events.PINHolder, error) { return events.OpenPIN(key, "acc1", "Kongsberg", 7, sealed) },
		"another sequence": func() (events.PINHolder, error) { return events.OpenPIN(key, "acc1", "Drammen", 8, sealed) },
		"another key":      func() (events.PINHolder, error) { return events.OpenPIN(other, "acc1", "Drammen", 7, sealed) },
		"a cut text": func() (events.PINHolder, error) {
			return events.OpenPIN(key, "acc1", "Drammen", 7, sealed[:len(sealed)-4])
		},
	} {
		if h, err := open(); err == nil {
			t.Errorf("it opens for %s: %v", name, h)
		}
	}
}

func TestSealedPINTellsNothingByItsLengthOrWhenPrinted(t *testing.T) {
	t.Parallel()
	h := events.PINHolder{PIN: "83610274", Username: strings.Repeat("k", 40), Numbers: []string{"employee:104711", "student:256789"}}
	_, long := sealedPIN(t, h)
	_, short := sealedPIN(t, events.PINHolder{PIN: "8361", Username: "k"})
	if len(long) != len(short) {
		t.Errorf("sealed codes have %d and %d characters", len(long), len(short))
	}
	if text := fmt.Sprintf("%v %+v %#v %s", h, h, h, h); strings.Contains(text, "8361") || strings.Contains(text, "kkk") {
		t.Errorf("printed it says %s", text)
	}
}

func TestPINThatIsNotSealedIsRefused(t *testing.T) {
	t.Parallel()
	e := events.Event{
		Meta: events.Meta{ID: "p1", Source: events.SourceWorker, Subject: "acc1", Time: now, Sequence: 7},
		Data: events.PINSet{Account: "acc1", Campus: "Bø", Key: "k", Sealed: "8361"},
	}
	header, body, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.Decode(e.Subject(), header, body, now); err == nil {
		t.Error("a readable code was taken")
	}
	if s := e.Subject(); !strings.HasPrefix(s, "secret.pin.") || strings.Count(s, ".") != 3 || strings.ContainsAny(s, "øØ ") {
		t.Errorf("it goes on %s", s)
	}
	if events.CampusKey("Drammen") != "drammen" || events.CampusKey("Bø") == events.CampusKey("Bo") {
		t.Error("two campuses are one, or one is two")
	}
}
