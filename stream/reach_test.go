package stream

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// A server whose files were damaged while it was down comes up healthy by its
// own word; what is missing is said in each case, and of nothing else.
func TestDamagedFilesAreFound(t *testing.T) {
	t.Parallel()
	ctx := patience(t)
	b, js, pub := declared(t)
	reach := &Reach{JS: js, Publisher: pub}
	for n := range 3 { // what one look sees the next one writes down
		for i := range 20 {
			fact := events.Meta{ID: string(rune('A' + n)), Source: events.SourceHR, Time: time.Now()}.
				Causes(events.Audit{What: events.AuditCreated, Account: "a", Outcome: "done"}, string(rune('a'+i)))
			if err := pub.Publish(ctx, fact); err != nil {
				t.Fatal(err)
			}
		}
		if lost, err := reach.Note(ctx); err != nil || len(lost) > 0 {
			t.Fatalf("lost %v, %v", lost, err)
		}
	}
	if _, err := reach.Note(ctx); err != nil {
		t.Fatal(err)
	}
	if found, err := Verify(ctx, js); err != nil || len(found) > 0 {
		t.Fatalf("a whole server: %v, %v", found, err)
	}
	blocks := filepath.Join(b.dir, "jetstream", "$G", "streams", Audit, "msgs")
	block, index := filepath.Join(blocks, "1.blk"), filepath.Join(blocks, "index.db")
	for name, c := range map[string]struct {
		hurt func(text []byte) []byte
		bare bool // without the index that a clean end leaves
	}{
		"a flipped bit": {flipped, false}, "a flipped bit, no index": {flipped, true},
		"a block cut short": {shortened, false}, "cut short, no index": {shortened, true},
	} {
		b.stop()
		whole, indexed := readFile(t, block), readFile(t, index)
		writeFile(t, block, c.hurt(append([]byte(nil), whole...)))
		if c.bare {
			if err := os.Remove(index); err != nil {
				t.Fatal(err)
			}
		}
		b.start()
		_, js := b.connect()
		found, err := Verify(ctx, js)
		if err != nil || len(found) != 1 || !strings.Contains(found[0], "stream AUDIT") {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		b.stop()
		writeFile(t, block, whole)
		writeFile(t, index, indexed)
		b.start()
	}
}

// A stream whose end is gone gives its sequences anew; only what was remembered
// elsewhere can tell.
func TestLostEndIsRemembered(t *testing.T) {
	t.Parallel()
	ctx := patience(t)
	_, js, pub := declared(t)
	reach := &Reach{JS: js, Publisher: pub}
	for i := range 4 {
		if _, err := js.Publish(ctx, "hr.employee.registered."+string(rune('1'+i)), []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if lost, err := reach.Note(ctx); err != nil || len(lost) > 0 {
			t.Fatalf("lost %v, %v", lost, err)
		}
	}
	if err := js.DeleteStream(ctx, Intake); err != nil {
		t.Fatal(err)
	}
	if err := Declare(ctx, js, testSettings(), false); err != nil {
		t.Fatal(err)
	}
	if lost, err := reach.Note(ctx); err != nil || len(lost) != 1 || !strings.Contains(lost[0], "INTAKE: came to 3 once and ends at 0") {
		t.Errorf("a worker says %v, %v", lost, err)
	}
	if found, err := Verify(ctx, js); err != nil || len(found) != 1 || !strings.Contains(found[0], "lost its end") {
		t.Errorf("verify says %v, %v", found, err)
	}
}

func TestAcceptedGapIsNotToldAgain(t *testing.T) {
	t.Parallel()
	ctx := patience(t)
	_, js, pub := declared(t)
	for i := range 6 {
		if _, err := js.Publish(ctx, "hr.employee.registered."+string(rune('1'+i)), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	st, err := js.Stream(ctx, Intake)
	if err != nil {
		t.Fatal(err)
	}
	remove := func(seq uint64) {
		if err := st.DeleteMsg(ctx, seq); err != nil {
			t.Fatal(err)
		}
	}
	remove(3)
	if found, err := Verify(ctx, js); err != nil || len(found) != 1 {
		t.Fatalf("an erased message: %v, %v", found, err)
	}
	if err := (&Reach{JS: js, Publisher: pub}).Accept(ctx); err != nil {
		t.Fatal(err)
	}
	if found, err := Verify(ctx, js); err != nil || len(found) > 0 {
		t.Errorf("accepted: %v, %v", found, err)
	}
	remove(4)
	if found, err := Verify(ctx, js); err != nil || len(found) != 1 || !strings.Contains(found[0], "1 messages are missing between 4 and 4") {
		t.Errorf("another one: %v, %v", found, err)
	}
}

func flipped(text []byte) []byte {
	text[len(text)/2] ^= 0x10
	return text
}

func shortened(text []byte) []byte { return text[:len(text)*2/3] }

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeFile(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
