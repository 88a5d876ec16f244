package worker

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// hold keeps a message ours: it tells the broker every third of AckWait that
// work goes on. A hold is lost when the broker has not confirmed one within
// AckWait, because the process stood still or the broker was away: then
// somebody else may have the message already.
type hold struct {
	m    *message
	wait time.Duration
	done context.CancelFunc
	ctx  context.Context

	mu    sync.Mutex
	timer *time.Timer
	last  time.Time // when the broker last knew that we work
	lost  bool
}

func (l *lane) hold(m *message) *hold {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hold{m: m, wait: l.ackWait, done: cancel, ctx: ctx, last: time.Now()}
	h.mu.Lock()
	h.timer = time.AfterFunc(h.wait/3, h.beat)
	h.mu.Unlock()
	return h
}

// beat asks for a reply: that is what tells a working connection from a
// buffer that is filling.
func (h *hold) beat() {
	ctx, cancel := context.WithTimeout(h.ctx, h.wait/3)
	sent := time.Now()
	err := h.m.raw.InProgress(nats.Context(ctx))
	cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	if err == nil {
		h.last = sent
	}
	if h.ctx.Err() == nil {
		h.timer.Reset(h.wait / 3)
	}
}

func (h *hold) expire() {
	if time.Since(h.last) > h.wait {
		h.lost = true
	}
}

// kept tells whether the message is still ours for certain.
func (h *hold) kept() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	return !h.lost
}

func (h *hold) release() {
	h.done()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer.Stop()
}
