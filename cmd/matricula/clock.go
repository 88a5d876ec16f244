package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// clockFile says beside a running demo how far its clock is ahead, so that the
// commands that reach it live in its time.
const clockFile = "clock"

func (c *clock) tell(dir string) error {
	return os.WriteFile(filepath.Join(dir, clockFile), []byte(time.Duration(c.ahead.Load()).String()), 0o600)
}

// follow takes the time of the demo that runs in dir; where none says its own,
// it is the machine's.
func (c *clock) follow(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, clockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	ahead, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err == nil {
		c.ahead.Store(int64(ahead))
	}
	return err
}
