package faults

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// elects is how long a cluster that lost one of three may need until every role
// is ready again: an election begins after four to nine seconds without a word
// from the leader, and each stream and durable has one of its own.
const elects = 25 * time.Second

// rejoins is how long a member that is back may need to catch up.
const rejoins = 40 * time.Second

// oneDies kills one server at a time, the leaders of what matters first, and
// expects the two others to go on without it.
func (h *house) oneDies() (func(context.Context), error) {
	return func(ctx context.Context) {
		h.oneAtATime(ctx, "killed", func(m *member) error {
			m.process.kill()
			h.killed("F4")
			return nil
		}, h.cluster.start)
	}, nil
}

// oneIsCutOff pulls one server's cable at a time. It does not know that it is
// alone, nor do the roles that are connected to it.
func (h *house) oneIsCutOff() (func(context.Context), error) {
	if !h.cluster.wired {
		return nil, canCutOff()
	}
	return func(ctx context.Context) {
		h.oneAtATime(ctx, "cut off", func(m *member) error {
			h.killed("F13")
			return m.cutOff()
		}, (*member).plugIn)
	}, nil
}

// oneAtATime takes one member away, sees that the roles are ready without it,
// lets people go on for a while, brings it back, and waits until it has caught
// up before it takes the next one: what a cluster of three promises, and no
// more.
func (h *house) oneAtATime(ctx context.Context, how string, take, back func(*member) error) {
	random := h.dice()
	done := map[string]bool{}
	pause(ctx, 3*time.Second) // who starts while there is no leader ends, and is started again
	missed := func() bool {   // a busy machine needs longer than the storm was to last
		return slices.ContainsFunc(leads, func(led string) bool { return !done[led] })
	}
	for n := 0; ctx.Err() == nil || n < 3*len(leads) && missed(); n++ {
		m, led := h.cluster.victim(n, random)
		if err := take(m); err != nil {
			h.t.Errorf("%s %s: %v", m.name, how, err)
			return
		}
		took, late := h.holdsWithout(m)
		if len(late) > 0 {
			h.violation("I13", "one server of three %s (it led %s), and after %s not all is ready: %s", how, led, took, strings.Join(late, "; "))
		}
		pause(ctx, time.Duration(500+random.IntN(1500))*time.Millisecond)
		if err := back(m); err != nil {
			h.t.Errorf("%s cannot come back: %v", m.name, err)
			return
		}
		began := h.fair.mark()
		if err := h.cluster.await(rejoins, h.cluster.members...); err != nil {
			h.violation("I13", "one server of three %s and is back: %v", how, err)
		}
		fmt.Printf("  %s %s, leader of %s: all ready without it after %s, itself %s after it was back\n", m.name, how, led, took, h.fair.said(began))
		done[led] = true
	}
	for _, led := range leads {
		if !done[led] {
			h.violation("I13", "the leader of %s was never %s: the storm was too short", led, how)
		}
	}
}

// leads are what a victim is chosen by: what events come in by, what says who
// is who, and the cluster itself.
var leads = []string{"INTAKE", "KV_claims", "the cluster"} //nolint:gochecknoglobals // a constant list

func (c *cluster) victim(n int, random *rand.Rand) (*member, string) {
	led := leads[n%len(leads)]
	stream := led
	if n%len(leads) == 2 {
		stream = ""
	}
	if m := c.leader(stream); m != nil {
		return m, led
	}
	return c.members[random.IntN(members)], "nothing"
}

// holdsWithout waits until the two others have a leader of the intake and every
// role is ready; it says who is not.
func (h *house) holdsWithout(m *member) (took string, late []string) {
	began := h.fair.mark()
	for {
		late := h.late()
		if !h.cluster.leaderBut(m, "INTAKE") {
			late = append(late, "the intake has no leader")
		}
		if len(late) == 0 || h.fair.over(began, elects) {
			return h.fair.said(began), late
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}

// leaderBut says whether the others agree on a leader that is not m.
func (c *cluster) leaderBut(m *member, stream string) bool {
	rest := &cluster{h: c.h}
	for _, o := range c.members {
		if o != m {
			rest.members = append(rest.members, o)
		}
	}
	return rest.leader(stream) != nil
}

// late are the roles that are not ready, in their own words.
func (h *house) late() []string {
	var out []string
	client := http.Client{Timeout: 3 * time.Second}
	for _, name := range roleNames {
		resp, err := client.Get("http://" + h.roles[name].metrics + "/readyz")
		if err != nil {
			out = append(out, name+": "+err.Error())
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			out = append(out, name+": "+strings.TrimSpace(string(text)))
		}
	}
	return out
}

// stillWell has the operator's commands look at the cluster once all is calm,
// and everything that came handled once more.
func (h *house) stillWell() {
	for _, args := range [][]string{{"check"}, {"audit", "verify"}} {
		if out, err := h.command("", nil, args...).CombinedOutput(); err != nil {
			h.violation("I13", "after the storm %v: %v: %s", args, err, out)
		}
	}
	h.replayed()
}
