// Command benthos is Redpanda Connect with nothing but what the comparison
// needs: NATS in and out, and its mapping language.
package main

import (
	"context"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	_ "github.com/redpanda-data/connect/v4/public/components/nats"
)

func main() { service.RunCLI(context.Background()) }
