package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// hit damages a stream for good, in one of the ways.
func (h *house) hit(stream string) error {
	w := wounds()[h.dice().IntN(len(wounds()))]
	fmt.Printf("  %s has %s, for good\n", stream, w.name)
	return h.strike(stream, w)
}

// remade deletes a bucket's stream and has setup make it again.
func (h *house) remade(stream string) error {
	ctx, cancel := context.WithTimeout(context.Background(), settles)
	defer cancel()
	return errors.Join(h.js.DeleteStream(ctx, stream), h.run("setup"))
}

// claimsAgain makes damaged claims anew from the directory.
func (h *house) claimsAgain() error {
	h.without([]string{"worker-1", "worker-2"}, func() error {
		if err := h.hit("KV_claims"); err != nil {
			return err
		}
		return errors.Join(h.remade("KV_claims"), h.run("claims", "rebuild", "--apply", "--quiet"), h.run("audit", "verify", "--accept"))
	})
	h.well("claims made again")
	h.replayed()
	return nil
}

// lettersAgain and auditAgain put back the newest copy of the stream.
func (h *house) lettersAgain() error { return h.copied("KV_letters") }

func (h *house) auditAgain() error { return h.copied("AUDIT") }

func (h *house) copied(stream string) error {
	if err := h.hit(stream); err != nil {
		return err
	}
	store, err := h.store("")
	if err != nil {
		return err
	}
	if err := h.putBack(folder(store, stream)); err != nil {
		return err
	}
	h.disturbed()
	if m := h.fair.mark(); !h.allReady(10 * time.Second) {
		h.violation("I13", "the roles were ready %s after %s was put back", h.fair.said(m), stream)
	}
	h.well(stream + " put back")
	h.replayed()
	return nil
}

// intakeAgain loses events that nobody had handled, and has the sources publish
// all they have once more.
func (h *house) intakeAgain() error {
	h.without([]string{"worker-1", "worker-2"}, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), settles)
		defer cancel()
		random := h.dice()
		for range 10 {
			p := h.cast.invent(99, random, time.Now())
			p.Fate, p.Names, p.Opens, p.Email = silent, p.Names[:1], time.Time{}, strings.TrimPrefix(p.Email, nobody)
			h.joins(p)
			p.announced = []string{h.publish(ctx, p.announcement(1, time.Now()))}
		}
		had, err := h.sent()
		if err != nil {
			return err
		}
		if err := h.hit("INTAKE"); err != nil {
			return err
		}
		for _, m := range had {
			h.sendWith(ctx, &nats.Msg{Subject: m.Subject, Data: m.Data, Header: m.Header})
		}
		return h.run("audit", "verify", "--accept")
	})
	h.check("after the intake was damaged", h.fair.mark())
	h.well("events published again")
	return nil
}
