package stream

import "testing"

func TestSessionIsFoundUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	admin, _ := b.as("admin")
	ctx := patience(t)
	if err := Declare(ctx, admin, testSettings(), false); err != nil {
		t.Fatal(err)
	}
	_, p, refused := b.publisherAs("portal")
	s := &Sessions{Publisher: p}
	if state, found, err := s.Load(ctx, "k1"); err != nil || found || state != nil {
		t.Fatalf("a session nobody made: %q, %v, %v", state, found, err)
	}
	for _, state := range []string{"first", "second"} {
		if err := s.Store(ctx, "k1", []byte(state)); err != nil {
			t.Fatalf("store: %v", err)
		}
		if got, found, err := s.Load(ctx, "k1"); err != nil || !found || string(got) != state {
			t.Fatalf("after storing %q: %q, %v, %v", state, got, found, err)
		}
	}
	if err := s.Delete(ctx, "k1"); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if state, found, err := s.Load(ctx, "k1"); err != nil || found {
		t.Fatalf("a deleted session: %q, %v, %v", state, found, err)
	}
	for _, key := range []string{"", "a b", ">", "*", "a..b"} {
		if _, _, err := s.Load(ctx, key); err == nil {
			t.Errorf("the key %q is looked up", key)
		}
		if err := s.Store(ctx, key, []byte("x")); err == nil {
			t.Errorf("the key %q is stored", key)
		}
	}
	if got := refused.list(); got != "" {
		t.Errorf("the portal's documented rights do not do: %s", got)
	}
}
