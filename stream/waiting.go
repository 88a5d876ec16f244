package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// Waiting keeps letters that many persons wait for together. A letter lies in
// WAIT on "wait.letter.<group>.<kind>.<account>"; each group and kind has a
// durable that is paused until the letters are due, so that moving the time is
// one request whatever their number. Letters written after that come at once.
//
// Publish the letter first, then Plan: in that order a letter always has a
// durable, whatever is cleaned up at that moment.
type Waiting struct {
	JS       jetstream.JetStream
	Settings Settings

	planned sync.Map // durable → plan that this process made lately
}

// standing is what a group was planned for, in the broker's time, and when that was
// done. Thousands of
// letters join one group in a minute, and asking the broker for each of them
// costs as much as writing it.
type standing struct{ until, made time.Time }

// remembered is how long a plan is taken to stand. A durable is deleted only
// days after its letters were due, and whoever moves a time plans it again.
const remembered = 30 * time.Second

// Group is the letters of one kind that wait for one instant.
type Group struct {
	Group, Kind string
	Due         time.Time // zero where nothing is planned
	Letters     int       // that wait or are under way
	Planned     bool
}

const (
	metaGroup = "matricula-group"
	metaKind  = "matricula-kind"
	metaDue   = "matricula-due"
)

const letterDurable = "letter-"

// letterConsumer is the durable's name: the same for the same group and kind
// in every process.
func letterConsumer(group, kind string) string {
	sum := sha256.Sum256([]byte(group))
	return letterDurable + kind + "-" + hex.EncodeToString(sum[:8])
}

func letterFilter(group, kind string) string {
	return "wait.letter." + events.Key(group) + "." + kind + ".*"
}

// Plan says when a group's letters of one kind are due. It makes the durable
// where there is none, and moves the time where it is another one; planning
// the same again changes nothing. A time in the past means now.
func (w *Waiting) Plan(ctx context.Context, group, kind string, due time.Time) error {
	if group == "" || events.Key(kind) != kind {
		return errors.New("waiting letters: group or kind is not a name")
	}
	name := letterConsumer(group, kind)
	until := w.Settings.Clock.broker(due)
	if p, ok := w.planned.Load(name); ok && p.(standing).until.Equal(until) && time.Since(p.(standing).made) < remembered {
		return nil
	}
	for failed := 0; ; failed++ {
		c, err := w.JS.Consumer(ctx, Wait, name)
		switch {
		case err == nil:
			err = w.move(ctx, c.CachedInfo(), due)
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			_, err = w.JS.CreateConsumer(ctx, Wait, w.config(group, kind, due))
		}
		if crossed(err, failed) {
			if err := pause(ctx, failed); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			w.planned.Store(name, standing{until: until, made: time.Now()})
		}
		return broken("waiting letters "+name, err)
	}
}

// crossed tells that another process made, deleted or moved the durable
// between two requests, or is about to: while the files of one are being
// removed, the server answers in several ways that it cannot make the next.
func crossed(err error, failed int) bool {
	if errors.Is(err, jetstream.ErrConsumerExists) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDoesNotExist) {
		return true
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code >= 500 && failed < 8
}

func (w *Waiting) config(group, kind string, due time.Time) jetstream.ConsumerConfig {
	c := durable(w.Settings, letterConsumer(group, kind), w.Settings.LetterLanes, letterFilter(group, kind))
	until := w.Settings.Clock.broker(due).UTC()
	c.PauseUntil = &until
	c.Metadata = map[string]string{metaGroup: group, metaKind: kind, metaDue: due.UTC().Format(time.RFC3339Nano)}
	return c
}

// move brings a durable to another time. The pause is what counts, so it is
// moved first; the note of the product's time beside it only tells of it. A
// process that dies between the two leaves a difference, which the next one
// mends.
func (w *Waiting) move(ctx context.Context, info *jetstream.ConsumerInfo, due time.Time) error {
	want := w.config(info.Config.Metadata[metaGroup], info.Config.Metadata[metaKind], due)
	if have := info.Config.PauseUntil; have == nil || have.Sub(*want.PauseUntil).Abs() > time.Millisecond {
		if _, err := w.JS.PauseConsumer(ctx, Wait, info.Name, *want.PauseUntil); err != nil {
			return err
		}
	}
	if info.Config.Metadata[metaDue] == want.Metadata[metaDue] && len(consumerDrift(Wait, info.Config, want)) == 0 {
		return nil
	}
	_, err := w.JS.UpdateConsumer(ctx, Wait, want) // leaves the pause alone
	return err
}

// Groups lists what waits. Letters that were written and never planned, because
// a process died in between, are listed with Planned false; plan them.
func (w *Waiting) Groups(ctx context.Context) ([]Group, error) {
	infos, err := w.durables(ctx)
	if err != nil {
		return nil, err
	}
	var groups []Group
	known := map[string]bool{}
	for _, info := range infos {
		g := groupOf(info)
		groups = append(groups, g)
		known[letterFilter(g.Group, g.Kind)] = true
	}
	orphans, err := w.unplanned(ctx, known)
	return append(groups, orphans...), err
}

func groupOf(info *jetstream.ConsumerInfo) Group {
	meta := info.Config.Metadata
	g := Group{Group: meta[metaGroup], Kind: meta[metaKind], Letters: int(info.NumPending) + info.NumAckPending, Planned: true}
	if due, err := time.Parse(time.RFC3339Nano, meta[metaDue]); err == nil {
		g.Due = due
	}
	return g
}

// durables are those of waiting letters.
func (w *Waiting) durables(ctx context.Context) ([]*jetstream.ConsumerInfo, error) {
	st, err := w.JS.Stream(ctx, Wait)
	if err != nil {
		return nil, broken("stream "+Wait, err)
	}
	var out []*jetstream.ConsumerInfo
	list := st.ListConsumers(ctx)
	for info := range list.Info() {
		if strings.HasPrefix(info.Name, letterDurable) && info.Config.Metadata[metaGroup] != "" {
			out = append(out, info)
		}
	}
	return out, broken("consumers of "+Wait, list.Err())
}

// unplanned finds letters that no durable takes. The names of all subjects are
// asked for only here, and hold account IDs only.
func (w *Waiting) unplanned(ctx context.Context, known map[string]bool) ([]Group, error) {
	st, err := w.JS.Stream(ctx, Wait)
	if err != nil {
		return nil, broken("stream "+Wait, err)
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter("wait.letter.>"))
	if err != nil {
		return nil, broken("stream "+Wait, err)
	}
	letters := map[string]int{}
	for subject := range info.State.Subjects {
		i := strings.LastIndexByte(subject, '.')
		if filter := subject[:i] + ".*"; !known[filter] {
			letters[filter]++
		}
	}
	var groups []Group
	for filter, n := range letters {
		s, err := lastOf(ctx, w.JS.Conn(), Wait, filter) // the group's name is in the letter; its token may be a hash
		if err != nil {
			return groups, err
		}
		var letter events.WaitingLetter
		if s.seq == 0 || json.Unmarshal(s.data, &letter) != nil {
			continue // taken meanwhile
		}
		groups = append(groups, Group{Group: letter.Group, Kind: letter.Kind, Letters: n})
	}
	return groups, nil
}

// Replan asks due for the time of every group and plans it. due answers false
// to leave a group as it is. Call it at start, and when windows changed.
func (w *Waiting) Replan(ctx context.Context, due func(group, kind string) (time.Time, bool)) error {
	groups, err := w.Groups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		at, ok := due(g.Group, g.Kind)
		if !ok {
			continue
		}
		if err := w.Plan(ctx, g.Group, g.Kind, at); err != nil {
			return err
		}
	}
	return nil
}

// Sweep deletes the durables of groups that were due before the given time and
// hold no letter, and answers how many. A letter that is written at that
// moment is not lost: after the deletion it is looked for, and its durable made
// again. Nothing hurries: a time days ago keeps out of the writers' way.
func (w *Waiting) Sweep(ctx context.Context, before time.Time) (int, error) {
	infos, err := w.durables(ctx)
	if err != nil {
		return 0, err
	}
	swept := 0
	for _, info := range infos {
		g := groupOf(info)
		if g.Letters > 0 || info.Paused || g.Due.IsZero() || !g.Due.Before(before) {
			continue
		}
		w.planned.Delete(info.Name)
		if err := w.JS.DeleteConsumer(ctx, Wait, info.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return swept, broken("waiting letters "+info.Name, err)
		}
		switch back, err := w.restore(ctx, g); {
		case err != nil:
			return swept, err
		case !back:
			swept++
		}
	}
	return swept, nil
}

// restore makes a deleted durable again if a letter came at that moment. One
// that another process has made meanwhile stays as it is: it may have a later
// time.
func (w *Waiting) restore(ctx context.Context, g Group) (bool, error) {
	s, err := lastOf(ctx, w.JS.Conn(), Wait, letterFilter(g.Group, g.Kind))
	if err != nil || s.seq == 0 {
		return false, err
	}
	for failed := 0; ; failed++ {
		_, err = w.JS.CreateConsumer(ctx, Wait, w.config(g.Group, g.Kind, g.Due))
		if err == nil || errors.Is(err, jetstream.ErrConsumerExists) {
			return true, nil
		}
		if !crossed(err, failed) {
			return true, broken("waiting letters "+letterConsumer(g.Group, g.Kind), err)
		}
		if err := pause(ctx, failed); err != nil {
			return true, err
		}
	}
}
