package table

import (
	"context"
	"strings"
	"time"
)

// pending is how many messages of the intake are not finished.
func (p *place) pending() int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := p.js.Stream(ctx, "INTAKE")
	if err != nil {
		p.t.Fatal(err)
	}
	n := 0
	for c := range s.ListConsumers(ctx).Info() {
		if strings.HasPrefix(c.Name, "intake") {
			n += int(c.NumPending) + c.NumAckPending
		}
	}
	return n
}
