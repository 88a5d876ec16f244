package testkit_test

import (
	"testing"

	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

func TestShippedBrokerConfigurationStarts(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	if err := stream.Declare(t.Context(), b.JetStream("operator"), stream.DefaultSettings(), false); err != nil {
		t.Fatalf("operator cannot declare: %v", err)
	}
	for _, role := range testkit.Roles {
		b.Connect(role)
	}
}
