package faults

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// child is a process of the rig that ends with it.
type child struct {
	cmd     *exec.Cmd
	started time.Time
	done    chan struct{} // closed when it has ended

	mu     sync.Mutex
	killed bool // by us, or by itself at a failpoint
}

// startChild appends what the process says to a file.
func startChild(cmd *exec.Cmd, log string) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	c := &child{cmd: cmd, started: time.Now(), done: make(chan struct{})}
	began := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the kernel ties the child to this thread
		err := cmd.Start()
		began <- err
		if err == nil {
			_ = cmd.Wait()
			close(c.done)
		}
		_ = out.Close()
	}()
	return c, <-began
}

func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

func (c *child) signal(s syscall.Signal) {
	if c.alive() {
		_ = c.cmd.Process.Signal(s)
	}
}

// kill ends the process as a crash does; it says whether it was still there.
func (c *child) kill() bool {
	was := c.alive()
	c.signal(syscall.SIGKILL)
	<-c.done
	return was
}

// crashed says whether the process, which has ended, was killed.
func (c *child) crashed() bool {
	st, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && st.Signaled() && st.Signal() == syscall.SIGKILL
}

// within waits for the end, at most so long.
func (c *child) within(d time.Duration) bool {
	select {
	case <-c.done:
		return true
	case <-time.After(d):
		return false
	}
}
