package testkit

import (
	"os/exec"
	"syscall"
)

// dieWithUs has the kernel end the child when the thread that started it ends,
// so that a test that is killed leaves no server behind.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
