package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// cut takes the power from the servers of these disks: what had reached each at
// its instant is all they find when they start again. The instants differ a
// little, as they do when a house goes dark.
func (h *house) cut(disks ...*disk) error {
	h.disturbed()
	for _, d := range disks {
		if err := d.stop(); err != nil {
			return err
		}
		d.n++
		after := fmt.Sprintf("%s-%d.img", d.at, d.n)
		err := sh("cp", "--sparse=always", d.image, after)
		d.kill()
		if err != nil {
			return err
		}
		if err := errors.Join(sh("umount", d.at), sh("losetup", "-d", d.loop)); err != nil {
			return err
		}
		_ = os.Remove(d.image)
		d.image = after
		if err := d.mount(); err != nil {
			return err
		}
	}
	for _, d := range disks {
		d.start()
	}
	h.awaitBroker()
	h.disturbed()
	h.killed("F8")
	return nil
}

// powerCuts cuts the power while people are busy: the broker's alone, the
// directory's alone, and both.
func (h *house) powerCuts() (func(context.Context), error) {
	b, err := h.image(broker)
	if err != nil {
		return nil, err
	}
	d, err := h.image(directory)
	return func(ctx context.Context) {
		for n := 0; ; n++ {
			if pause(ctx, 2500*time.Millisecond); ctx.Err() != nil {
				return
			}
			if err := h.cut([][]*disk{{b, d}, {b}, {d}}[n%3]...); err != nil {
				h.t.Errorf("power cut: %v", err)
				return
			}
		}
	}, err
}

// readOnly lets the kernel give up on a disk, as it does after an error of the
// device: every write from then on is refused. Somebody must be red within
// 10 s; the way back is to mount the disk again and to start the server.
func (h *house) readOnly() (func(context.Context), error) {
	b, err := h.image(broker)
	if err != nil {
		return nil, err
	}
	d, err := h.image(directory)
	return func(ctx context.Context) {
		for _, disk := range []*disk{b, d} {
			pause(ctx, 2*time.Second)
			h.disturbed()
			if err := sh("mount", "-o", "remount,abort", disk.at); err != nil {
				h.t.Errorf("abort: %v", err)
				return
			}
			h.killed("F10 " + disk.of)
			h.red("the "+disk.of+"'s disk takes no writes", often)
			pause(ctx, time.Second)
			disk.kill()
			if err := errors.Join(sh("umount", disk.at), sh("losetup", "-d", disk.loop), disk.mount()); err != nil {
				h.t.Errorf("mount again: %v", err)
				return
			}
			disk.start()
			h.awaitBroker()
			h.disturbed()
		}
	}, err
}
