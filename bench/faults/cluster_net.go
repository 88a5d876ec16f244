package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// canCutOff says why a server cannot be cut off here; nil: it can.
func canCutOff() error {
	if os.Getuid() != 0 {
		return errors.New("only root can make networks")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return err
	}
	return sh("ip", "netns", "list")
}

// networks makes a machine of each member: a namespace with one line to a
// bridge that this machine is on, too.
func (c *cluster) networks() error {
	pid := os.Getpid()
	bridge := fmt.Sprintf("mat%d", pid)
	net := fmt.Sprintf("198.%d.%d", 18+pid>>8&1, pid&255) // set aside for measurements: nobody's
	c.h.t.Cleanup(func() { _ = sh("ip", "link", "del", bridge) })
	steps := []string{"link add " + bridge + " type bridge", "addr add " + net + ".254/24 dev " + bridge, "link set " + bridge + " up"}
	for i := range members {
		m := &member{name: c.name(i), ip: fmt.Sprintf("%s.%d", net, i+1)}
		m.space = m.name
		m.client, m.route, m.monitor = m.ip+":4222", m.ip+":6222", m.ip+":8222"
		c.members = append(c.members, m)
		c.h.t.Cleanup(func() { _ = sh("ip", "netns", "del", m.space) })
		steps = append(steps,
			"netns add "+m.space,
			"link add "+m.line()+" type veth peer name eth0 netns "+m.space,
			"link set "+m.line()+" master "+bridge+" up",
			"-n "+m.space+" addr add "+m.ip+"/24 dev eth0",
			"-n "+m.space+" link set lo up",
			"-n "+m.space+" link set eth0 up")
	}
	for _, s := range steps {
		if err := sh("ip", strings.Fields(s)...); err != nil {
			return err
		}
	}
	return nil
}

// line is the end of a member's cable that is plugged into this machine.
func (m *member) line() string { return "v" + m.name }

// cutOff pulls a member's cable: nobody reaches it any more and it reaches
// nobody, and neither side is told. Its connections are half-open.
func (m *member) cutOff() error { return sh("ip", "link", "set", m.line(), "down") }

// plugIn puts the cable back.
func (m *member) plugIn() error { return sh("ip", "link", "set", m.line(), "up") }
