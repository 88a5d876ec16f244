package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// Traces is what one person's messages are known by.
type Traces struct {
	Account  string
	Username string
	Subjects []Subject // the sources' own keys of the person
	Numbers  []string  // identity numbers, looked for in dead letters
	Claims   []string  // keys of claims that go: those of numbers
}

// Subject is a source's key of a person, in its area ("hr", "admissions").
type Subject struct{ Area, Key string }

// Found is how many messages of a person lie in one stream.
type Found struct {
	Stream   string `json:"stream"`
	Messages int    `json:"messages"`
}

// Eraser removes one person from the streams and buckets. It needs the admin
// identity: nobody else may delete.
type Eraser struct {
	JS jetstream.JetStream
}

// Find counts what Erase would delete.
func (e *Eraser) Find(ctx context.Context, t Traces) ([]Found, error) {
	found, err := e.find(ctx, t)
	return counted(found), err
}

// Erase deletes every message of the person and overwrites its bytes. Erasing
// again changes nothing; AUDIT is not touched.
func (e *Eraser) Erase(ctx context.Context, t Traces) ([]Found, error) {
	found, err := e.find(ctx, t)
	if err != nil {
		return nil, err
	}
	for stream, sequences := range found {
		st, err := e.JS.Stream(ctx, stream)
		if err != nil {
			return nil, broken("stream "+stream, err)
		}
		for _, seq := range sequences {
			if err := e.overwrite(ctx, st, stream, seq); err != nil {
				return nil, err
			}
		}
	}
	return counted(found), nil
}

// overwrite deletes a message. One that is no more was done with meanwhile, or
// erased before.
func (e *Eraser) overwrite(ctx context.Context, st jetstream.Stream, stream string, seq uint64) error {
	failed := st.SecureDeleteMsg(ctx, seq)
	if failed == nil {
		return nil
	}
	s, err := get(ctx, e.JS.Conn(), stream, map[string]any{"seq": seq})
	if err != nil || s.seq != 0 {
		return broken("erase from "+stream, errors.Join(failed, err))
	}
	return nil
}

func counted(found map[string][]uint64) []Found {
	out := make([]Found, 0, len(found))
	for stream, sequences := range found {
		if len(sequences) > 0 {
			out = append(out, Found{stream, len(sequences)})
		}
	}
	slices.SortFunc(out, func(x, y Found) int { return bytes.Compare([]byte(x.Stream), []byte(y.Stream)) })
	return out
}

// finding collects the sequences of a person's messages by stream.
type finding struct {
	*Eraser
	Traces
	at map[string][]uint64
}

func (e *Eraser) find(ctx context.Context, t Traces) (map[string][]uint64, error) {
	f := &finding{Eraser: e, Traces: t, at: map[string][]uint64{}}
	letters, err := f.letters(ctx)
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return f.intake(ctx, letters) },
		func() error { return f.dead(ctx) },
		func() error { return f.queues(ctx) },
		func() error { return f.keys(ctx) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	for stream := range f.at {
		slices.Sort(f.at[stream])
		f.at[stream] = slices.Compact(f.at[stream])
	}
	return f.at, nil
}

func (f *finding) add(stream string, seq uint64) { f.at[stream] = append(f.at[stream], seq) }

// read calls found for each message of a stream that others may read, too.
func (f *finding) read(ctx context.Context, stream string, found func(jetstream.Msg, uint64) error, filters ...string) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: filters}
	return each(ctx, f.JS, stream, cfg, false, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		return found(m, meta.Sequence.Stream)
	})
}

// letters finds the sent marks, whose letters they are, and the address that
// takes none.
func (f *finding) letters(ctx context.Context) (ids []string, err error) {
	prefix := bucketSubject(BucketLetters, "")
	err = f.read(ctx, bucketStream(BucketLetters), func(m jetstream.Msg, seq uint64) error {
		var mark events.LetterMark
		if json.Unmarshal(m.Data(), &mark) == nil && mark.Account == f.Account {
			if id := m.Subject()[len(prefix):]; !strings.HasPrefix(id, stoppedPrefix) {
				ids = append(ids, id)
			}
			f.add(bucketStream(BucketLetters), seq)
		}
		return nil
	}, prefix+">")
	return ids, err
}

// subjects are what the person's messages in INTAKE end in, in each area.
func (f *finding) subjects() []Subject {
	out := append(slices.Clone(f.Subjects), Subject{"it", f.Username}, Subject{"portal", f.Account})
	out = slices.DeleteFunc(out, func(s Subject) bool { return s.Key == "" })
	for i := range out {
		out[i].Key = events.Key(out[i].Key)
	}
	return out
}

func (f *finding) intake(ctx context.Context, letters []string) error {
	var filters []string
	for _, s := range f.subjects() {
		filters = append(filters, "p.*."+s.Area+".*.*."+s.Key)
	}
	for _, l := range letters {
		filters = append(filters, "p.*.it.mail.bounced."+l)
	}
	return f.read(ctx, Intake, func(_ jetstream.Msg, seq uint64) error { f.add(Intake, seq); return nil }, distinct(filters)...)
}

// dead finds dead letters by subject, and by an identity number in their body,
// whoever sent them; and the originals that still lie where they came from.
func (f *finding) dead(ctx context.Context) error {
	own := f.subjects()
	return f.read(ctx, Dead, func(m jetstream.Msg, seq uint64) error {
		var d events.DeadLetter
		if err := json.Unmarshal(m.Data(), &d); err != nil {
			return fmt.Errorf("dead letter on %s: %w", m.Subject(), err)
		}
		named := bytes.Contains(d.Body, []byte(f.Account)) || slices.ContainsFunc(f.Numbers, func(n string) bool { return bytes.Contains(d.Body, []byte(n)) })
		if !named && !slices.ContainsFunc(own, func(s Subject) bool { return s.of(d.Subject) }) {
			return nil
		}
		f.add(Dead, seq)
		if d.Stream == Intake {
			f.add(Intake, d.Sequence)
		}
		return nil
	}, "dead.>")
}

// queues finds what lies in streams that no second reader may have: subject by
// subject. Letters are known by the account that stands in them.
func (f *finding) queues(ctx context.Context) error {
	filters := map[string][]string{
		Wait:   {"wait.letter.*.*." + events.Key(f.Account)},
		Secret: {"secret.pin.*." + events.Key(f.Account)},
	}
	for _, s := range f.subjects() {
		end := "*.*." + s.Area + ".*.*." + s.Key
		filters[Wait] = append(filters[Wait], holdWait+end, dueWait+end)
	}
	for stream, fs := range filters {
		for _, filter := range distinct(fs) {
			if err := f.list(ctx, stream, filter, func([]byte) bool { return true }); err != nil {
				return err
			}
		}
	}
	return f.list(ctx, Mail, "mail.>", func(body []byte) bool { return bytes.Contains(body, []byte(f.Account)) })
}

// list adds the last message of each subject of which is says so.
func (f *finding) list(ctx context.Context, stream, filter string, is func(body []byte) bool) error {
	st, err := f.JS.Stream(ctx, stream)
	if err != nil {
		return broken("stream "+stream, err)
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return broken("stream "+stream, err)
	}
	for subject := range info.State.Subjects {
		s, err := lastOf(ctx, f.JS.Conn(), stream, subject)
		if err != nil {
			return err
		}
		if s.seq != 0 && is(s.data) {
			f.add(stream, s.seq)
		}
	}
	return nil
}

// keys finds what buckets hold under the person's keys. A key that was deleted
// before is still a name, and goes, too.
func (f *finding) keys(ctx context.Context) error {
	for _, key := range f.Claims {
		s, err := lastOf(ctx, f.JS.Conn(), bucketStream(BucketClaims), bucketSubject(BucketClaims, key))
		if err != nil {
			return err
		}
		if s.seq != 0 {
			f.add(bucketStream(BucketClaims), s.seq)
		}
	}
	for bucket, filter := range map[string]string{BucketPINs: "*." + f.Account + ".>", BucketBrake: "waits.*." + f.Account} {
		if err := f.list(ctx, bucketStream(bucket), bucketSubject(bucket, filter), func([]byte) bool { return true }); err != nil {
			return err
		}
	}
	return nil
}

// of tells whether a sender's subject is about this person.
func (s Subject) of(subject string) bool {
	return firstToken(subject) == s.Area && len(subject) > len(s.Key) && subject[len(subject)-len(s.Key)-1:] == "."+s.Key
}

func distinct(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
