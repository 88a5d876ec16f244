package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// setUp declares what the broker is to hold. It may be repeated, and is: three
// brokers that have only just met may take longer than one request waits.
func (h *house) setUp() error {
	for tries := 5; ; tries-- {
		err := h.run("setup")
		if err == nil || tries == 1 {
			return err
		}
		fmt.Printf("  once more: %v\n", err)
		time.Sleep(time.Second) // between two tries
	}
}

// regroup gives a version the lanes that it reads, as its operator would.
func (h *house) regroup(binary string) error {
	cmd := h.command("", nil, "setup", "--force")
	cmd.Path = binary
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("setup --force: %w: %s", err, out)
	}
	return nil
}

// readsOther tells whether a version reads other lanes than this one.
func (h *house) readsOther(binary string) (bool, error) {
	have, err := h.lanes()
	if err != nil {
		return false, err
	}
	if err := h.regroup(binary); err != nil {
		return false, err
	}
	now, err := h.lanes()
	return !slices.Equal(have, now), err
}

// lanes are the durables of INTAKE.
func (h *house) lanes() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), settles)
	defer cancel()
	st, err := h.js.Stream(ctx, "INTAKE")
	if err != nil {
		return nil, err
	}
	var names []string
	list := st.ConsumerNames(ctx)
	for name := range list.Name() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, list.Err()
}

// cross takes both workers to a version that reads other lanes: they stop, the
// lanes are made, they start.
func (h *house) cross(binary string, kill bool) {
	var workers []*role
	for _, name := range roleNames {
		if r := h.roles[name]; strings.HasPrefix(name, "worker") && r.binary != binary {
			workers = append(workers, r)
		}
	}
	if len(workers) == 0 {
		return
	}
	for _, r := range workers {
		r.hold.Lock()
		h.ends(r, kill)
	}
	if err := h.regroup(binary); err != nil {
		h.violation("I13", "the lanes of another version: %v", err)
	}
	for _, r := range workers {
		r.binary = binary
		h.launch(r, "")
		r.hold.Unlock()
		h.killed("F22")
	}
	for _, r := range workers {
		h.greets(r)
	}
}
