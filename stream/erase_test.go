package stream

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// somebody is a person whose messages lie everywhere.
type somebody struct{ account, username, no, name, address, number string }

func (s somebody) registered() events.Event {
	return events.Event{
		Meta: events.Meta{ID: "r" + s.no, Source: events.SourceHR, Subject: s.no, Time: testTime},
		Data: events.EmployeeRegistered{Employee: events.Employee{
			EmployeeNo: s.no, Name: events.Name{Given: s.name}, Contact: events.Contact{Email: s.address},
			Identifiers: []events.Identifier{{Type: "fnr", Value: s.number}}, Employments: []events.Employment{},
		}},
	}
}

func (s somebody) letter(n int) events.Event {
	id := fmt.Sprintf("%s-letter-%d", s.account, n)
	return events.Once(id, testTime, events.MailRequest{
		Template: events.LetterActivation, Letter: id, Account: s.account, Language: "nb", Address: s.address, Name: s.name,
	})
}

// live leaves a person's messages in every stream: events done with and not,
// letters sent and not, dead letters, marks and claims.
func (s somebody) live(t *testing.T, js jetstream.JetStream, p *Publisher) {
	t.Helper()
	ctx := patience(t)
	publish(t, p, s.registered())
	wrong := s.registered()
	wrong.ID, wrong.Meta.Subject = "w"+s.no, "900"+s.no // another key, so that the number alone tells whose it is
	data := wrong.Data.(events.EmployeeRegistered)
	data.EmployeeNo = wrong.Meta.Subject
	wrong.Data = data
	publish(t, p, wrong)
	command := func(area events.Data, source, subject string) {
		publish(t, p, events.Event{Meta: events.Meta{ID: "c" + s.no + subject, Source: source, Subject: subject, Time: testTime}, Data: area})
	}
	command(events.PasswordCompromised{Username: s.username, Reason: "phished by " + s.name}, events.SourceIT, s.username)
	command(events.AccountActed{Account: s.account}, events.SourcePortal, s.account)
	letters := &Letters{Publisher: p}
	for n := range 3 {
		l := s.letter(n)
		publish(t, p, l)
		if err := letters.Mark(ctx, l.ID, events.LetterMark{State: events.LetterSent, Account: s.account}); err != nil {
			t.Fatal(err)
		}
		command(events.MailBounced{Letter: l.ID, Status: "5.1.1", Text: s.address + " unknown"}, events.SourceIT, l.ID)
	}
	if err := letters.StopAddress(ctx, s.account, events.StopAddress(s.account, s.address, testTime)); err != nil {
		t.Fatal(err)
	}
	publish(t, p, events.Once("wait-"+s.account, testTime, events.WaitingLetter{Account: s.account, Kind: events.LetterActivation, Group: "main"}))
	aside := &Aside{Publisher: p}
	lane, err := js.CreateConsumer(ctx, Intake, jetstream.ConsumerConfig{FilterSubject: "p.*.hr.*.*." + s.no})
	m := next(t, lane, err)
	if err := aside.Wait(ctx, time.Now().Add(time.Hour), m); err != nil {
		t.Fatal(err)
	}
	meta, _ := m.Metadata()
	if err := js.DeleteConsumer(ctx, Intake, lane.CachedInfo().Name); err != nil { // its filter is a file of the server's
		t.Fatal(err)
	}
	if err := aside.Bury(ctx, events.DeadLetter{
		ID: "d" + s.no, Reason: events.ReasonParked, Stream: Intake, Sequence: meta.Sequence.Stream + 1, Subject: "hr.employee.registered.900" + s.no, Body: m.Data(),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewClaims(p).Take(ctx, []string{"num.1." + s.account, "src.1." + s.account}, []byte(s.account)); err != nil {
		t.Fatal(err)
	}
}

func (s somebody) traces() Traces {
	return Traces{
		Account: s.account, Username: s.username, Subjects: []Subject{{"hr", s.no}}, Numbers: []string{s.number}, Claims: []string{"num.1." + s.account},
	}
}

// onDisk counts the files below dir that hold any of the words.
func onDisk(t *testing.T, dir string, words ...string) map[string]int {
	t.Helper()
	found := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		for _, w := range words {
			rel, _ := filepath.Rel(dir, path)
			if filepath.Base(path) == "sched.db" {
				continue // what is to be tried again, by subject; it goes when its time comes, within the hour
			}
			if n := bytes.Count(body, []byte(w)); n > 0 {
				found[w+" in "+rel] += n
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestErasedPersonIsOnNoDiskAndTheOthersAre(t *testing.T) {
	t.Parallel()
	b, js, p := declared(t)
	gone := somebody{"aaaabbbbccccddddeeeeffff22", "zaqzaq", "104711", "Zaqariasdottir", "zaqarias@example.org", "17912099997"}
	stays := somebody{"aaaabbbbccccddddeeeeffff33", "wonwon", "104712", "Wonterghem", "wonterghem@example.org", "05840399895"}
	for _, s := range []somebody{gone, stays} {
		s.live(t, js, p)
	}
	// One letter each is done with: the server frees its place and keeps the bytes.
	c, err := js.Consumer(patience(t), Mail, durableMail)
	for range 2 {
		if err := next(t, c, err).DoubleAck(patience(t)); err != nil {
			t.Fatal(err)
		}
	}
	e := &Eraser{JS: js}
	would, err := e.Find(patience(t), gone.traces())
	if err != nil {
		t.Fatal(err)
	}
	did, err := e.Erase(patience(t), gone.traces())
	if err != nil || fmt.Sprint(did) != fmt.Sprint(would) {
		t.Fatalf("%v was found and %v erased: %v", would, did, err)
	}
	streams := map[string]bool{}
	for _, f := range did {
		streams[f.Stream] = true
	}
	for _, s := range []string{Intake, Wait, Mail, Dead, bucketStream(BucketLetters), bucketStream(BucketClaims)} {
		if !streams[s] {
			t.Errorf("nothing was erased from %s: %v", s, did)
		}
	}
	if again, err := e.Erase(patience(t), gone.traces()); err != nil || len(again) != 0 {
		t.Errorf("a second time something is left to erase: %v, %v", again, err)
	}
	if err := e.Wipe(patience(t), Wiped()...); err != nil {
		t.Fatal(err)
	}
	if left, err := e.Find(patience(t), stays.traces()); err != nil || len(left) != 6 {
		t.Errorf("somebody else lost messages: %v, %v", left, err)
	}
	b.stop()
	if found := onDisk(t, b.dir, gone.name, gone.address, gone.number, gone.no); len(found) > 0 {
		t.Errorf("the erased person is still on the disk: %v", found)
	}
	if found := onDisk(t, b.dir, stays.name, stays.address, stays.number); len(found) < 6 {
		t.Errorf("the search finds nobody, also not who was not erased: %v", found)
	}
}
