package testkit_test

import (
	"context"
	"testing"
	"time"

	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

func TestPortalKeepsSessionsWithTheShippedRights(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := stream.Declare(ctx, b.JetStream("operator"), stream.DefaultSettings(), false); err != nil {
		t.Fatal(err)
	}
	pub := stream.NewPublisher(b.JetStream("portal"))
	defer func() { _ = pub.Close(context.WithoutCancel(ctx)) }()
	s := &stream.Sessions{Publisher: pub}
	if err := s.Store(ctx, "k1", []byte("state")); err != nil {
		t.Fatalf("store: %v", err)
	}
	if got, found, err := s.Load(ctx, "k1"); err != nil || !found || string(got) != "state" {
		t.Fatalf("load: %q, %v, %v", got, found, err)
	}
	if err := s.Delete(ctx, "k1"); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if _, found, err := s.Load(ctx, "k1"); err != nil || found {
		t.Fatalf("a deleted session is found: %v, %v", found, err)
	}
}
