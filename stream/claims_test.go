package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usn.no/matricula/events"
)

func TestOfSixteenThatShareKeysOneWinsWhole(t *testing.T) {
	t.Parallel()
	_, js, p := declaredDurable(t)
	claims := NewClaims(p)
	ctx := patience(t)
	other := NewPublisher(js) // a second process
	t.Cleanup(func() { _ = other.Close(context.Background()) })
	for round := range 12 {
		key := func(i int) string { return fmt.Sprintf("num.%d.%d", round, i) }
		var winners atomic.Int64
		var winner sync.Map
		var wait sync.WaitGroup
		for i := range 16 {
			wait.Go(func() {
				// all share key 0; each takes others of its own and shared ones
				keys := []string{key(0), key(1 + i%3), key(10 + i)}
				rand.Shuffle(len(keys), func(a, b int) { keys[a], keys[b] = keys[b], keys[a] })
				c := claims
				if i%2 == 1 {
					c = NewClaims(other)
				}
				held, err := c.Take(ctx, keys, []byte(fmt.Sprint("owner-", i)))
				switch {
				case err != nil:
					t.Errorf("take: %v", err)
				case held == nil:
					winners.Add(1)
					winner.Store(fmt.Sprint("owner-", i), keys)
				case held[key(0)] == nil:
					t.Errorf("owner %d was refused and told only of %v, not of the shared key", i, held)
				}
			})
		}
		wait.Wait()
		if n := winners.Load(); n != 1 {
			t.Fatalf("round %d has %d winners, want exactly one", round, n)
		}
		var all []string
		for i := range 30 {
			all = append(all, key(i))
		}
		now, err := claims.Read(ctx, all)
		if err != nil {
			t.Fatal(err)
		}
		winner.Range(func(owner, keys any) bool {
			for k, v := range now {
				if !slices.Contains(keys.([]string), k) || string(v) != owner.(string) {
					t.Errorf("key %s says %s although %s won %v: a part was written", k, v, owner, keys)
				}
			}
			if len(now) != 3 {
				t.Errorf("%d keys are held, want the winner's 3", len(now))
			}
			return true
		})
	}
}

func TestClaimsOfManyAreCommittedTogether(t *testing.T) {
	t.Parallel()
	_, _, p := declared(t)
	claims := NewClaims(p)
	ctx := patience(t)
	if _, err := claims.Take(ctx, []string{"num.50", "src.50"}, []byte("earlier")); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			n := i % 100 // two of each
			held, err := claims.Take(ctx, []string{fmt.Sprint("num.", n), fmt.Sprint("src.", n), fmt.Sprint("user.", n)}, []byte(fmt.Sprint(i)))
			if err != nil {
				t.Errorf("take %d: %v", i, err)
			}
			if n == 50 && (string(held["num.50"]) != "earlier" || string(held["src.50"]) != "earlier" || held["user.50"] != nil) {
				t.Errorf("taking over an earlier claim was answered with %v", held)
			}
		})
	}
	wait.Wait()
	for n := range 100 {
		got, err := claims.Read(ctx, []string{fmt.Sprint("num.", n), fmt.Sprint("src.", n), fmt.Sprint("user.", n)})
		if err != nil {
			t.Fatal(err)
		}
		a, b, c := string(got[fmt.Sprint("num.", n)]), string(got[fmt.Sprint("src.", n)]), string(got[fmt.Sprint("user.", n)])
		if n != 50 && (a == "" || a != b || b != c) {
			t.Errorf("keys of %d say %q, %q, %q, want one owner", n, a, b, c)
		}
	}
}

func TestTakingAgainFindsOnesOwnClaim(t *testing.T) {
	t.Parallel()
	_, _, p := declared(t)
	claims := NewClaims(p)
	ctx := patience(t)
	for n := range 3 {
		if held, err := claims.Take(ctx, []string{"a", "b", "a"}, []byte("me")); err != nil || len(held) > 0 || (held == nil) != (n == 0) {
			t.Fatalf("taking one's own claim: %v, %v", held, err)
		}
	}
	held, err := claims.Take(ctx, []string{"a", "c"}, []byte("me"))
	if err != nil || string(held["a"]) != "me" || len(held) != 1 {
		t.Errorf("taking one's own and a free key was answered with %v, %v, want what is held", held, err)
	}
	for _, key := range []string{"", "a b", "a..b", ".a", "a.*", "a>"} {
		if _, err := claims.Take(ctx, []string{key}, []byte("me")); err == nil || events.IsUnavailable(err) {
			t.Errorf("key %q was answered with %v", key, err)
		}
	}
}

func TestReleasedKeysCanBeTakenAgain(t *testing.T) {
	t.Parallel()
	_, _, p := declared(t)
	claims := NewClaims(p)
	ctx := patience(t)
	take := func(owner string, keys ...string) {
		t.Helper()
		if held, err := claims.Take(ctx, keys, []byte(owner)); err != nil || len(held) > 0 {
			t.Fatalf("%s takes %v: %v, %v", owner, keys, held, err)
		}
	}
	take("me", "a", "b")
	move := func(was, now []byte, keys ...string) {
		t.Helper()
		if held, err := claims.Move(ctx, keys, nil, was, now); err != nil || held != nil {
			t.Fatalf("moving %v from %s to %s: %v, %v", keys, was, now, held, err)
		}
	}
	if held, err := claims.Move(ctx, []string{"a", "b"}, nil, []byte("another"), nil); err != nil || string(held["a"]) != "me" || len(held) != 2 {
		t.Errorf("releasing another's claim was answered with %v, %v", held, err)
	}
	move([]byte("me"), []byte("you"), "a", "b")
	move([]byte("you"), nil, "a")
	move([]byte("you"), nil, "a") // again
	if got, err := claims.Read(ctx, []string{"a", "b"}); err != nil || len(got) != 1 || string(got["b"]) != "you" {
		t.Errorf("after a release the keys say %v, %v", got, err)
	}
	take("third", "a", "c")
}

func TestClaimsMoveTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	_, _, p := declared(t)
	claims := NewClaims(p)
	ctx := patience(t)
	says := func(key, want string) {
		t.Helper()
		if got, err := claims.Read(ctx, []string{key}); err != nil || string(got[key]) != want {
			t.Errorf("%s says %q (%v), want %q", key, got[key], err, want)
		}
	}
	for owner, keys := range map[string][]string{"from": {"num.1", "uid.from"}, "into": {"num.2", "uid.into"}, "third": {"num.3"}} {
		if held, err := claims.Take(ctx, keys, []byte(owner)); err != nil || len(held) > 0 {
			t.Fatalf("%s takes %v: %v, %v", owner, keys, held, err)
		}
	}
	held, err := claims.Move(ctx, []string{"num.1", "num.3", "uid.from"}, nil, []byte("from"), []byte("into"))
	if err != nil || len(held) != 1 || string(held["num.3"]) != "third" {
		t.Fatalf("moving what is in part another's was answered with %v, %v", held, err)
	}
	says("num.1", "from")
	// Each way at once: what the loser counts on has moved, so that one wins whole.
	var wait sync.WaitGroup
	var won atomic.Int64
	for _, pair := range [][2]string{{"from", "into"}, {"into", "from"}} {
		wait.Go(func() {
			n := map[string]string{"from": "num.1", "into": "num.2"}[pair[0]]
			held, err := claims.Move(ctx, []string{n, "uid." + pair[0], "num.free"}, []string{"uid." + pair[1]}, []byte(pair[0]), []byte(pair[1]))
			if err != nil {
				t.Errorf("move: %v", err)
			}
			if held == nil {
				won.Add(1)
			}
		})
	}
	wait.Wait()
	got, err := claims.Read(ctx, []string{"num.1", "num.2", "num.free", "uid.from", "uid.into"})
	if err != nil || won.Load() != 1 || len(got) != 5 {
		t.Fatalf("%d of two opposite moves won, and %d keys are held (%v)", won.Load(), len(got), err)
	}
	for key, owner := range got {
		if string(owner) != string(got["uid.from"]) {
			t.Errorf("%s says %s although %s won", key, owner, got["uid.from"])
		}
	}
	winner := got["uid.from"]
	if held, err := claims.Move(ctx, []string{"num.new"}, []string{"uid.nobody"}, []byte("x"), winner); err != nil || len(held) != 1 {
		t.Errorf("a move that counts on a claim nobody made was answered with %v, %v", held, err)
	}
	says("num.new", "")
}

func TestClaimsSurviveRestartsInTheMiddle(t *testing.T) {
	t.Parallel()
	b, _, p := declaredDurable(t)
	claims := NewClaims(p)
	ctx := patience(t)
	stop := make(chan struct{})
	var taken atomic.Int64
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				keys := []string{fmt.Sprintf("num.%d.%d", w, i), fmt.Sprintf("src.%d.%d", w, i)}
				// a reading cut by the restart is an outage; taking again is safe
				for {
					held, err := claims.Take(ctx, keys, []byte(fmt.Sprint(w)))
					if err == nil && len(held) == 0 {
						break
					}
					if !events.IsUnavailable(err) || ctx.Err() != nil {
						t.Errorf("take %v: %v, %v", keys, held, err)
						return
					}
				}
				taken.Add(1)
			}
		})
	}
	for range 3 {
		before := taken.Load()
		eventually(t, "50 claims were taken", func() bool { return taken.Load() >= before+50 })
		b.stop()
		b.start()
	}
	close(stop)
	wait.Wait()
}

func TestCounterCountsEachOnce(t *testing.T) {
	t.Parallel()
	_, _, p := declared(t)
	c := &Counter{Publisher: p}
	ctx := patience(t)
	var wait sync.WaitGroup
	seen := make([]atomic.Int64, 41)
	for range 40 {
		wait.Go(func() {
			n, err := c.Add(ctx, "invitation-1")
			if err != nil {
				t.Errorf("add: %v", err)
				return
			}
			seen[n].Add(1)
		})
	}
	wait.Wait()
	for n := 1; n <= 40; n++ {
		if seen[n].Load() != 1 {
			t.Errorf("%d callers were told %d, want one", seen[n].Load(), n)
		}
	}
	if n, err := c.Count(ctx, "invitation-1"); err != nil || n != 40 {
		t.Errorf("count is %d, %v; want 40", n, err)
	}
	if n, err := c.Count(ctx, "another"); err != nil || n != 0 {
		t.Errorf("count of another is %d, %v", n, err)
	}
}

func TestSentMarkSaysTheLastWord(t *testing.T) {
	t.Parallel()
	_, _, p := declared(t)
	letters := &Letters{Publisher: p}
	ctx := patience(t)
	if _, found, err := letters.Sent(ctx, "l1"); found || err != nil {
		t.Fatalf("mark of an unknown letter: %v, %v", found, err)
	}
	for _, state := range []string{events.LetterRetry, events.LetterSent} {
		want := events.LetterMark{State: state, Attempts: 1, First: testTime, Last: testTime.Add(time.Minute)}
		if err := letters.Mark(ctx, "l1", want); err != nil {
			t.Fatal(err)
		}
		if got, found, err := letters.Sent(ctx, "l1"); err != nil || !found || got != want {
			t.Errorf("mark reads %+v, %v, %v; want %+v", got, found, err, want)
		}
	}
}
