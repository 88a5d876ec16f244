package main

import (
	"sync/atomic"
	"time"
)

// clock is the product's time. In production it is the machine's; the demo
// starts it at a fixed instant and can move it forward.
type clock struct{ ahead atomic.Int64 }

// Now is the product's time.
func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// ToBroker maps a time of the product's to the broker's, which is always the
// machine's.
func (c *clock) ToBroker(t time.Time) time.Time { return t.Add(-time.Duration(c.ahead.Load())) }

// set makes it at now.
func (c *clock) set(at time.Time) { c.ahead.Store(int64(time.Until(at))) }
