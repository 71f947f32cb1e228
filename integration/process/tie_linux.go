package process

import (
	"os/exec"
	"syscall"
)

// tie makes a program die with this one. The kernel goes by the thread that
// starts it; Go ends a thread only when a goroutine that locked it returns.
func tie(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
