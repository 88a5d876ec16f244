package table

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proc is a process that is measured; it ends with the test.
type proc struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  string
}

// start runs a command; what it says goes to a file that is shown when it ends
// by itself with an error.
func start(t testing.TB, dir, name string, cmd *exec.Cmd) *proc {
	t.Helper()
	p := &proc{cmd: cmd, done: make(chan struct{}), log: filepath.Join(dir, name+".log")}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	began := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the kernel ties the child to this thread
		err := cmd.Start()
		began <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.done)
		}
		_ = out.Close()
	}()
	if err := <-began; err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(p.kill)
	return p
}

func (p *proc) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end, and kills it when it does not.
func (p *proc) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.kill()
	}
}

func (p *proc) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// tail is the end of what the process said.
func (p *proc) tail() string {
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-2000):])
}

// cpu is what a process has used of the processor so far.
func cpu(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * (time.Second / 100)
}

// busy is how much of the machine is in use while we do nothing, in percent: a
// table that is measured beside other work says so.
func busy() float64 {
	used := func() (busy, all float64) {
		b, _ := os.ReadFile("/proc/stat")
		line, _, _ := strings.Cut(string(b), "\n")
		for i, f := range strings.Fields(line)[1:] {
			x, _ := strconv.ParseFloat(f, 64)
			if all += x; i != 3 && i != 4 { // idle, and waiting for a disk
				busy += x
			}
		}
		return busy, all
	}
	busy, all := used()
	time.Sleep(3 * time.Second) // this is the measurement
	busy2, all2 := used()
	return (busy2 - busy) / max(all2-all, 1) * 100
}

// memory is the process's resident memory in MiB: now, or at its peak.
func memory(pid int, peak bool) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	key := "VmRSS:"
	if peak {
		key = "VmHWM:"
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024
		}
	}
	return 0
}

// pidOf finds the process that has all of these words in its command line.
func pidOf(words ...string) int {
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
next:
	for _, f := range found {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for _, w := range words {
			if !strings.Contains(string(b), w) {
				continue next
			}
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil && pid != os.Getpid() {
			return pid
		}
	}
	return 0
}
