package main

import (
	"sync/atomic"
	"time"
)

// clock is the product's time. In production it is the machine's; the demo
// starts it at a fixed instant and can move it forward.
type clock struct{ ahead atomic.Int64 }

// Now is the product's time.
func (c *clock) Now() time.Time { return machineTime().Add(time.Duration(c.ahead.Load())) }

// ToBroker maps a time of the product's to the broker's, whose clock the
// machine's must agree with.
func (c *clock) ToBroker(t time.Time) time.Time { return t.Add(-time.Duration(c.ahead.Load())) }

// set makes it at now.
func (c *clock) set(at time.Time) { c.ahead.Store(int64(at.Sub(machineTime()))) }
